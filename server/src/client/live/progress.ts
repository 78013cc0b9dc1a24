import type { ClientMessage } from '../../contract/messages.ts';
import type { SyncProgress, SyncResult } from '../sync/index.ts';

/** What whoever watches the hub is told of one plugin on this machine. */
export type Told = Extract<ClientMessage, { type: 'progress' }>['progress'];

/** The first word of each step; bytes that arrive meanwhile are nobody's news. */
export function progressOf({ step, versions = {}, bytes = 0 }: SyncProgress): Told[] {
  const state = step === 'fetch' ? 'fetching' : step === 'apply' ? 'installing' : undefined;
  if (state === undefined || bytes > 0) return [];
  return Object.entries(versions).map(([plugin, version]) => ({ plugin, version, state }));
}

/** What a sync leaves undone: it waits for a person, or it failed its checks here. */
export function leftUndone({ waiting, problems }: SyncResult): Told[] {
  const told = new Set(problems.map((p) => p.name));
  const waits = waiting.flatMap(({ name: plugin, to: version, why, detail }): Told[] => {
    if (version === null || told.has(plugin)) return [];
    if (why !== 'refused') return [{ plugin, version, state: 'waiting' }];
    const [, code = 'HASH_MISMATCH', message = detail] = /^([A-Z_]+): (.*)$/s.exec(detail) ?? [];
    return [{ plugin, version, state: 'failed', error: { code, message } }];
  });
  const failures = problems.flatMap(({ name: plugin, code, message, version = '', where }): Told[] =>
    where === 'machine' ? [{ plugin, version, state: 'failed', error: { code, message } }] : [],
  );
  return [...waits, ...failures];
}
