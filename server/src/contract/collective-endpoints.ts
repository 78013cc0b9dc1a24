import * as z from 'zod';
import * as c from './collective-schemas.ts';
import type { Endpoint } from './endpoint.ts';
import { ONCE_HEADERS } from './headers.ts';

/** The collective's endpoints; contract/endpoints.ts holds all. */
const members = ['operator', 'machine'] as const;
const memory = '/api/collective/memories/{memory}';
const task = '/api/collective/tasks/{task}';

export const COLLECTIVE_ENDPOINTS = {
  storeMemory: {
    method: 'POST',
    path: '/api/collective/memories',
    summary: 'Keep a memory that others may read; under a repeated Idempotency-Key once',
    headers: ONCE_HEADERS,
    access: members,
    body: c.NewMemory,
    reply: c.Memory,
  },
  memories: {
    method: 'GET',
    path: '/api/collective/memories',
    summary: 'Memories that the caller may read, newest first',
    access: members,
    query: c.MemoryQuery,
    reply: z.object({ memories: z.array(c.Memory), next: z.string().nullable() }),
  },
  searchMemories: {
    method: 'POST',
    path: '/api/collective/memories/search',
    summary: 'Search memories in words, best first',
    access: members,
    body: c.MemorySearch,
    reply: z.object({ results: z.array(c.MemoryHit) }),
  },
  importMemories: {
    method: 'POST',
    path: '/api/collective/memories/import',
    summary: 'Take in memories that were exported; those that are there already are left alone',
    access: members,
    body: z.object({ memories: z.array(c.ImportedMemory).max(500) }),
    reply: z.object({ added: z.number().int(), known: z.number().int() }),
  },
  editMemory: {
    method: 'PATCH',
    path: memory,
    summary: 'Change a memory (its machine, or an operator)',
    access: members,
    body: c.MemoryEdit,
    reply: c.Memory,
  },
  forgetMemory: {
    method: 'DELETE',
    path: memory,
    summary: 'Forget a memory (its machine, or an operator)',
    access: members,
    reply: z.object({ ok: z.literal(true) }),
  },

  broadcast: {
    method: 'POST',
    path: '/api/collective/broadcasts',
    summary: 'Tell machines something at once; under a repeated Idempotency-Key once',
    headers: ONCE_HEADERS,
    access: members,
    body: c.NewBroadcast,
    reply: c.Broadcast.extend({ machines: z.number().int().describe('how many it is addressed to') }),
  },
  broadcasts: {
    method: 'GET',
    path: '/api/collective/broadcasts',
    summary: 'Broadcasts to the caller that have not expired, newest first',
    access: members,
    query: z.object({
      category: z.string().max(64).optional(),
      severity: c.Severity.optional(),
      unacknowledged: z.stringbool().optional(),
      limit: z.coerce.number().int().min(1).max(200).default(20),
    }),
    reply: z.object({ broadcasts: z.array(c.Broadcast) }),
  },
  acknowledgeBroadcasts: {
    method: 'POST',
    path: '/api/collective/broadcasts/acknowledge',
    summary: 'Say that these broadcasts were taken notice of on this machine',
    access: ['machine'],
    body: z.object({ ids: z.array(z.string().max(64)).min(1).max(200) }),
    reply: z.object({ acknowledged: z.number().int() }),
  },

  announce: {
    method: 'PUT',
    path: '/api/collective/agents/me',
    summary: 'Say what role this machine has (self)',
    access: ['machine'],
    body: c.Announcement,
    reply: c.Agent,
  },
  agents: {
    method: 'GET',
    path: '/api/collective/agents',
    summary: 'Who is there: role, groups, capabilities, presence and load',
    access: members,
    query: z.object({ capability: z.string().max(64).optional(), group: z.string().max(64).optional() }),
    reply: z.object({ agents: z.array(c.Agent) }),
  },

  delegate: {
    method: 'POST',
    path: '/api/collective/tasks',
    summary: 'Offer a task to the machines that can do it; under a repeated Idempotency-Key once',
    headers: ONCE_HEADERS,
    access: members,
    body: c.NewTask,
    reply: z.object({
      task: c.Task,
      candidates: z.array(z.string()).describe('machines that may claim it, best first'),
    }),
  },
  tasks: {
    method: 'GET',
    path: '/api/collective/tasks',
    summary: 'Tasks: of everybody (operators), or from, for and of the asking machine',
    access: members,
    query: z.object({
      status: c.TaskStatus.optional(),
      limit: z.coerce.number().int().min(1).max(500).default(50),
    }),
    reply: z.object({ tasks: z.array(c.Task) }),
  },
  claimTask: {
    method: 'POST',
    path: `${task}/claim`,
    summary: 'Take an open task; one machine at a time holds it, for the time of the lease (self)',
    access: ['machine'],
    reply: c.Task,
  },
  updateTask: {
    method: 'POST',
    path: task,
    summary: 'Report progress (renews the lease), end or give back a claimed task; cancel one of the own',
    access: members,
    body: c.TaskUpdate,
    reply: c.Task,
  },

  inbox: {
    method: 'GET',
    path: '/api/collective/inbox',
    summary: 'What a session on this machine should be told (self)',
    access: ['machine'],
    reply: c.Inbox,
  },
} as const satisfies Record<string, Endpoint>;
