/** Tables of what machines tell each other. `rev` is a number of the counter `collective`, so that readers can follow. */
export interface CollectiveTables {
  memories: MemoriesTable;
  broadcasts: BroadcastsTable;
  acknowledgements: AcknowledgementsTable;
  tasks: TasksTable;
  agents: AgentsTable;
}

export interface MemoriesTable {
  id: string;
  rev: number;
  /** Empty once it was forgotten. */
  content: string;
  category: string;
  /** JSON array. */
  tags: string;
  project: string | null;
  importance: number;
  /** groups or collective. */
  visibility: string;
  /** JSON array; who may read it where visibility is groups. */
  groups: string;
  /** Null for what an operator's token stored. */
  machine_id: string | null;
  author: string;
  created_at: string;
  updated_at: string;
  expires_at: string | null;
  /** 1: forgotten; the row stays for a while so that every hub process takes it out of its index. */
  forgotten: number;
}

export interface BroadcastsTable {
  id: string;
  rev: number;
  content: string;
  category: string;
  severity: string;
  /** JSON array; empty: everybody. */
  groups: string;
  machine_id: string | null;
  author: string;
  created_at: string;
  expires_at: string;
}

export interface AcknowledgementsTable {
  /** A broadcast, or a task that ended. */
  item_id: string;
  machine_id: string;
  at: string;
}

export interface TasksTable {
  id: string;
  rev: number;
  title: string;
  description: string;
  /** JSON arrays. */
  required_capabilities: string;
  groups: string;
  /** Name of the one machine that may do it. */
  machine: string | null;
  /** Only for machines that announced this role. */
  role: string | null;
  priority: number;
  /** open, claimed, done, failed, cancelled. */
  status: string;
  from_machine_id: string | null;
  author: string;
  claimed_by: string | null;
  claimed_name: string | null;
  attempt: number;
  max_attempts: number;
  lease_until: string | null;
  deadline_at: string | null;
  progress: string;
  result: string;
  reason: string;
  created_at: string;
  updated_at: string;
}

export interface AgentsTable {
  machine_id: string;
  role: string;
  about: string;
  updated_at: string;
}
