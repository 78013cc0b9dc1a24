import { WS_PATH } from '../../contract/messages.ts';
import type { EventMessage } from './conversation.ts';

/** Machines answer a doorbell within this many ms of each other; grows with the fleet so that it does not stampede. */
export function spreadMs(machines: number): number {
  return Math.min(10_000, machines * 2);
}

/** Which machines' plans these events may change: most change any, some one machine's, some none. */
export function concerned(events: readonly EventMessage[]): 'all' | string[] {
  const ids = new Set<string>();
  for (const { type, data } of events) {
    if (type.startsWith('token.') || type === 'machine.joined' || type === 'machine.removed') continue;
    if (!Array.isArray(data.machine_ids)) return 'all';
    for (const id of data.machine_ids) ids.add(String(id));
  }
  return [...ids];
}

/** True for the address of the live channel. */
export function isLivePath(url: string | undefined): boolean {
  return (url ?? '').split('?', 1)[0] === WS_PATH;
}
