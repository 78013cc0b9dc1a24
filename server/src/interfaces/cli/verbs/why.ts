import { whyPlugin } from '../../../client/why.ts';
import { clean } from '../output.ts';
import type { Verb } from '../verb.ts';
import { argument } from './options.ts';

export const why: Verb = async (call) => {
  const name = argument(call, 0, 'plugin');
  const told = await whyPlugin(await call.open(), name, call.options.machine);
  const { style } = call;
  const wants =
    told.desired === null ? 'not wanted' : `wanted: ${told.desired.version}${told.desired.pinned ? ' (exactly)' : ''}`;
  const lines = [
    `${style.bold(name)} on ${told.machine}: ${wants}; installed: ${told.installed ?? 'none'}`,
    ...told.reasons.map((r) => `  ${r.kind === 'problem' ? style.red('!') : '·'} ${clean(r.text)}`),
    ...told.here.map((text) => `  ${style.yellow('…')} ${clean(text)}`),
  ];
  return { json: told, text: lines.join('\n') };
};
