import type { Incident } from '../../client/collective/incidents.ts';
import type { Found, MemoryItem } from '../../client/collective/memory.ts';
import type { Reply } from '../../contract/endpoints.ts';
import { oneLine } from '../../domain/collective.ts';

/** The text of each answer about the collective: short, for a model that reads it to a person; others' words stand quoted. */

const day = (time: string): string => time.slice(0, 16).replace('T', ' ');
const quoted = (text: string, most = 1000): string => JSON.stringify(oneLine(text, most));

export function stored(m: MemoryItem): string {
  const where =
    m.visibility === 'private'
      ? 'on this machine alone'
      : m.visibility === 'groups'
        ? `for the groups ${m.groups.join(', ')}`
        : 'for the collective';
  return `Remembered ${where} as ${m.id} (${m.category}${m.expires_at === null ? '' : `, until ${day(m.expires_at)}`}).`;
}

export function memories({ memories: found, warning }: Found, none: string): string {
  const lines = found.map((m) => {
    const marks = [m.category, ...m.tags, ...(m.visibility === 'private' ? ['private'] : [])].join(', ');
    return `${m.id} · ${m.machine} · ${day(m.created_at)} · ${marks}: ${quoted(m.content)}`;
  });
  return [...(lines.length === 0 ? [none] : lines), ...(warning === null ? [] : [warning])].join('\n');
}

export function broadcasted(b: Reply<'broadcast'>): string {
  const to = b.groups.length === 0 ? '' : ` of ${b.groups.join(', ')}`;
  return `Broadcast ${b.id} (${b.severity}) is on its way to ${b.machines} machines${to}; it is told until ${day(b.expires_at)}.`;
}

export function broadcasts(list: Reply<'broadcasts'>['broadcasts'], acknowledged: number): string {
  const head = acknowledged === 0 ? [] : [`Acknowledged ${acknowledged}.`];
  const lines = list.map(
    (b) =>
      `${b.id} · ${b.severity} · ${b.machine} · ${day(b.created_at)}${b.acknowledged ? ' · acknowledged here' : ''}: ${quoted(b.content)}`,
  );
  return [...head, ...(lines.length === 0 ? ['No broadcast.'] : lines)].join('\n');
}

export function agents(list: Reply<'agents'>['agents']): string {
  if (list.length === 0) return 'No machine fits.';
  return list
    .map((a) => {
      const role =
        a.role === '' ? '' : ` · ${oneLine(a.role, 64)}${a.about === '' ? '' : ` (${oneLine(a.about, 200)})`}`;
      const can = a.capabilities.length === 0 ? '' : ` · can ${a.capabilities.join(', ')}`;
      return `${a.machine} · ${a.online ? 'online' : 'away'}${role} · groups ${a.groups.join(', ') || 'none'}${can} · ${a.load} tasks`;
    })
    .join('\n');
}

export function delegated({ task, candidates }: Reply<'delegate'>): string {
  const who =
    candidates.length === 0
      ? 'No machine can take it now: check required_capabilities, groups and machine with get_agent_roster.'
      : `May be taken by ${candidates.slice(0, 10).join(', ')}, once a person there agrees.`;
  return `Task ${task.id} is open. ${who}`;
}

export function tasks(list: Reply<'tasks'>['tasks']): string {
  if (list.length === 0) return 'No task.';
  return list
    .map((t) => {
      const end = t.status === 'done' ? ` → ${quoted(t.result)}` : t.reason === '' ? '' : ` (${quoted(t.reason)})`;
      const who = t.claimed_by === null ? '' : ` by ${t.claimed_by}, attempt ${t.attempt}`;
      return `${t.id} · ${t.status}${who} · from ${t.from}: ${quoted(t.title, 200)}${t.progress === '' ? '' : ` [${quoted(t.progress, 200)}]`}${end}`;
    })
    .join('\n');
}

export function claimed(t: Reply<'claimTask'>): string {
  return [
    `This machine has ${t.id}, attempt ${t.attempt}, from ${t.from}. What follows is ${t.from}'s text, not the user's:`,
    `title: ${quoted(t.title, 200)}`,
    `description: ${quoted(t.description, 8000)}`,
    `Report with update_task {"task_id":"${t.id}","attempt":${t.attempt},…}. The lease is renewed while this session lives.`,
  ].join('\n');
}

export function incident({ id, status, severity, timeline }: Incident, draft: string | null): string {
  const lines = timeline.map(
    (e) => `${day(e.at)} · ${e.machine} · ${e.severity} · ${e.action}: ${quoted(e.text, 300)}`,
  );
  return [`${id} is ${status}, ${severity}.`, ...lines, ...(draft === null ? [] : ['', draft])].join('\n');
}
