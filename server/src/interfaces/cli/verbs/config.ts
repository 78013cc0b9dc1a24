import { BLOCK, getConfig, setConfig } from '../../../client/configure.ts';
import { HaiveError } from '../../../domain/errors.ts';
import type { Verb } from '../verb.ts';
import { argument } from './options.ts';

const show = (value: unknown): string =>
  Array.isArray(value)
    ? value.join(',')
    : value === undefined
      ? ''
      : typeof value === 'object'
        ? JSON.stringify(value)
        : String(value);

export const config: Verb = async (call) => {
  const [action = 'get', key, value] = call.args;
  const ctx = await call.open();
  if (action === 'get') {
    const values = getConfig(ctx, key);
    const entries = Object.entries(values);
    const text =
      key === undefined || key === BLOCK
        ? entries.map(([name, v]) => `${name} = ${show(v)}`).join('\n')
        : show(entries[0]?.[1]);
    return { json: Object.fromEntries(entries.map(([name, v]) => [name, v ?? null])), text };
  }
  if (action === 'set' || action === 'unset') {
    const name = argument(call, 1, 'key');
    if (action === 'set' && value === undefined) throw new HaiveError('USAGE', `A value for ${name} is missing`);
    const values = await setConfig(ctx, name, action === 'set' ? (value ?? '') : null);
    const text = Object.entries(values).map(([at, v]) => `${at} = ${show(v)}`);
    return {
      json: Object.fromEntries(Object.entries(values).map(([at, v]) => [at, v ?? null])),
      text: text.join('\n'),
    };
  }
  throw new HaiveError('USAGE', `hv config ${action} is not known`, { hint: 'Use get, set or unset.' });
};
