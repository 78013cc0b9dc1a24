// What a verb of `hv` is called with, in this process: a HOME of its own, a hub, and perhaps somebody who answers.
import { openClient } from '../../server/src/client/context.ts';
import { styleFor } from '../../server/src/interfaces/cli/output.ts';
import type { VerbCall } from '../../server/src/interfaces/cli/verb.ts';
import type { TempHome } from './temp-home.ts';

export interface VerbWish {
  args?: string[];
  options?: Record<string, unknown>;
  confirm?: VerbCall['confirm'];
}

/** Opens the client of `home` with this hub and token. */
export const clientAt = (home: TempHome, hubUrl: string, token: string) =>
  openClient({
    ...{ home: home.home, path: '', hubUrl, token },
    ...{ claudeConfigDir: undefined, haivemindHome: undefined, caFile: undefined },
  });

export function verbCall(home: TempHome, hubUrl: string, token: string, wish: VerbWish): VerbCall {
  const { args = [], options = {}, confirm } = wish;
  const quiet = { json: false, program: '', progress: () => undefined, say: () => undefined };
  const call = { args, rest: [], options, style: styleFor(false), cwd: home.project, confirm, ...quiet };
  return { ...call, open: () => clientAt(home, hubUrl, token) } as unknown as VerbCall;
}
