import { HaiveError } from '../../domain/errors.ts';
import type { ClientContext } from '../context.ts';
import { askOnce } from './ask-once.ts';
import { askAsMember } from './member.ts';

export type IncidentSeverity = 'P1' | 'P2' | 'P3' | 'P4';
export type IncidentAction = 'start' | 'update' | 'resolve';

export interface IncidentEntry {
  at: string;
  machine: string;
  action: IncidentAction;
  severity: IncidentSeverity;
  text: string;
}

export interface Incident {
  id: string;
  status: 'open' | 'resolved';
  severity: IncidentSeverity;
  title: string;
  timeline: IncidentEntry[];
}

const CATEGORY = 'incident';
const LOUDNESS = { P1: 'critical', P2: 'warning', P3: 'info', P4: 'info' } as const;
/** Milliseconds after which nothing is announced any more: a broadcast of it may have expired. */
const NEWS_MS = 48 * 3600_000;

/**
 * Writes the next entry of an incident's timeline, as a memory of the hub that every machine reads. The same start or end
 * again, whose answer was lost, is answered as it stands.
 * @throws HaiveError BAD_REQUEST where the action does not fit its state (a second start, an update of none), and what the hub says
 */
export async function recordIncident(
  ctx: ClientContext,
  id: string,
  entry: { action: IncidentAction; severity?: IncidentSeverity | undefined; text: string },
): Promise<Incident> {
  const before = await findIncident(ctx, id);
  if (before?.timeline.some((known) => isSame(known, entry))) return before;
  if (entry.action === 'start' && before !== null)
    throw wrong(`${id} was started already`, 'Use action update, or another incident_id.');
  if (entry.action !== 'start' && before === null)
    throw wrong(`There is no incident ${id}`, 'Start it, or use the incident_id that the broadcast names.');
  if (before?.status === 'resolved') throw wrong(`${id} is resolved`, 'Start a new incident.');
  const severity = entry.severity ?? before?.severity;
  if (severity === undefined) throw wrong('A start needs severity', 'P1 (outage) to P4 (minor).');
  const tags = [id, entry.action, severity];
  const importance = { P1: 5, P2: 4, P3: 3, P4: 2 }[severity];
  await askOnce(ctx, 'storeMemory', { content: entry.text, category: CATEGORY, project: id, tags, importance });
  return await foundIncident(ctx, id);
}

/** Whether a start or an end is this very one. */
function isSame(
  known: IncidentEntry,
  { action, severity, text }: Pick<IncidentEntry, 'action' | 'text'> & { severity?: string | undefined },
): boolean {
  const alike = known.action === action && known.text === text.trim();
  return action !== 'update' && alike && (severity === undefined || severity === known.severity);
}

/**
 * Broadcasts the last that happened to an incident (its start, a change of severity, its end), if nobody did yet.
 * @returns the broadcast's text, or null where there is nothing to announce
 * @throws HaiveError BAD_REQUEST for an unknown incident, RATE_LIMITED, and what the hub says
 */
export async function announceIncident(ctx: ClientContext, id: string): Promise<string | null> {
  const { timeline } = await foundIncident(ctx, id);
  const at = timeline.findLastIndex((e, i) => e.action !== 'update' || e.severity !== timeline[i - 1]?.severity);
  const [news, before, last] = [timeline[at], timeline[at - 1], timeline.at(-1)];
  if (news === undefined || last === undefined) return null;
  if (Date.parse(last.at) - Date.parse(news.at) > NEWS_MS) return null;
  const { action, severity, text } = news;
  const what = { start: 'started', resolve: 'resolved', update: `is now ${severity} (was ${before?.severity})` }[
    action
  ];
  const content = `${id} ${severity} ${what}: ${text}`.slice(0, 2000).trim();
  return await askAsMember(ctx, async (hub) => {
    const { broadcasts } = await hub.call('broadcasts', { query: { category: CATEGORY, limit: 200 } });
    if (broadcasts.some((b) => b.content === content)) return null;
    await hub.call('broadcast', { body: { content, category: CATEGORY, severity: LOUDNESS[severity] } });
    return content;
  });
}

/** An incident's state out of its timeline, or null. @throws HaiveError of the hub */
export async function findIncident(ctx: ClientContext, id: string): Promise<Incident | null> {
  const { memories } = await askAsMember(ctx, (hub) =>
    hub.call('memories', { query: { category: CATEGORY, project: id, limit: 500 } }),
  );
  const timeline = memories
    .flatMap(({ tags, machine, content, created_at }): IncidentEntry[] => {
      const action = (['start', 'update', 'resolve'] as const).find((a) => tags.includes(a));
      const severity = (['P1', 'P2', 'P3', 'P4'] as const).find((s) => tags.includes(s));
      return action === undefined || severity === undefined
        ? []
        : [{ at: created_at, machine, action, severity, text: content }];
    })
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const [first] = timeline;
  const last = timeline.at(-1);
  if (first === undefined || last === undefined) return null;
  const status = timeline.some((e) => e.action === 'resolve') ? 'resolved' : 'open';
  return { id, status, severity: last.severity, title: first.text, timeline };
}

/** A post-mortem to be filled in: what the timeline knows stands in it, what only people know is asked for. */
export function postMortem({ id, title, timeline }: Incident): string {
  const [first] = timeline;
  const last = timeline.at(-1);
  const minutes = Math.round((Date.parse(last?.at ?? '') - Date.parse(first?.at ?? '')) / 60_000);
  const worst = timeline.map((e) => e.severity).sort()[0];
  const rows = timeline.map(
    (e) =>
      `| ${e.at.slice(0, 19).replace('T', ' ')} | ${e.machine} | ${e.severity} | ${e.action}: ${e.text.replace(/[|\n]+/g, ' ')} |`,
  );
  return [
    `# ${id}: ${title.split('\n')[0]}`,
    '',
    `Worst severity ${worst}, open for ${minutes} minutes (${first?.at} to ${last?.at}).`,
    '',
    '## Timeline (UTC)',
    '| time | machine | severity | what |',
    '|---|---|---|---|',
    ...rows,
    '',
    '## Impact\nWho noticed what, for how long? (to be filled in)',
    '',
    '## Cause\nWhat made it possible, what set it off, and how is that known? (to be filled in)',
    '',
    '## What went well, what did not\n(to be filled in)',
    '',
    '## Actions\n| what | who | until |\n|---|---|---|',
  ].join('\n');
}

async function foundIncident(ctx: ClientContext, id: string): Promise<Incident> {
  const incident = await findIncident(ctx, id);
  if (incident === null) throw wrong(`There is no incident ${id}`, 'Use the incident_id that the broadcast names.');
  return incident;
}

const wrong = (message: string, hint: string): HaiveError => new HaiveError('BAD_REQUEST', message, { hint });
