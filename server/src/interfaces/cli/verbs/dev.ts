import { resolve } from 'node:path';
import { type DevResult, devOnce, devStop, devWatch } from '../../../client/publish/dev.ts';
import { formatError, HaiveError, toHaiveError } from '../../../domain/errors.ts';
import type { Finding } from '../../../domain/findings/index.ts';
import type { Style } from '../output.ts';
import type { Verb } from '../verb.ts';
import { findingLines } from './publishing.ts';

export const dev: Verb = async (call) => {
  const { stop, once } = call.options;
  const given = call.args[0];
  const ctx = await call.open();
  if (stop === true) {
    const which = given === undefined ? undefined : { dir: resolve(call.cwd, given), name: given };
    const stopped = await devStop(ctx, which);
    const text = `${call.style.green('✓')} ${stopped.join(', ')}: as installed again. In open sessions: /reload-plugins`;
    return { json: { stopped }, text };
  }
  const dir = resolve(call.cwd, given ?? '.');
  if (once === true) {
    const result = await devOnce(ctx, dir);
    return { json: result, text: shown(result, call.style, dir) };
  }
  const ended = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => ended.abort());
  const say = (text: string, data: Record<string, unknown>) =>
    call.say(call.json ? JSON.stringify({ time: new Date().toISOString(), ...data }) : text);
  let name = '';
  await devWatch(ctx, dir, {
    signal: ended.signal,
    onShown: (result) => {
      name = result.name;
      say(shown(result, call.style, dir), { type: 'shown', ...result });
    },
    onError: (thrown) => {
      const error = toHaiveError(thrown);
      if (!(thrown instanceof HaiveError)) throw thrown;
      const findings = (error.details?.findings ?? []) as Finding[];
      const lines = findings.length > 0 ? findingLines(findings, call.style) : [formatError(error)];
      say([...lines, call.style.yellow('! what was shown before stays')].join('\n'), {
        type: 'error',
        ...{ code: error.code, message: error.message, findings },
      });
    },
  });
  const text =
    name === '' ? 'Nothing was shown.' : `${name} stays as it was saved last, until \`hv dev ${given ?? '.'} --stop\`.`;
  return { json: { name, dir }, text };
};

function shown(result: DevResult, style: Style, dir: string): string {
  const { name, findings, changes, written, removed } = result;
  const count = written.length + removed.length;
  const files = [...written, ...removed.map((path) => `${path} (gone)`)];
  const what =
    count === 0 ? 'nothing changed' : files.slice(0, 5).join(', ') + (count > 5 ? `, and ${count - 5} more` : '');
  return [
    ...findingLines(findings, style),
    ...(changes.length > 0
      ? [style.dim(`${changes.length} places translated: hv validate ${dir} --fix writes them into the folder`)]
      : []),
    `${style.green('✓')} ${name}: ${what}${count === 0 ? '' : '. In open sessions: /reload-plugins'}`,
  ].join('\n');
}
