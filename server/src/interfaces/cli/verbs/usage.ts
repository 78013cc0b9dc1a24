import { ask } from '../../../client/hub/registry.ts';
import { usageHere } from '../../../client/report/usage.ts';
import { USAGE_GROUPINGS } from '../../../contract/usage-endpoints.ts';
import { HaiveError } from '../../../domain/errors.ts';
import type { Counted } from '../../../domain/use.ts';
import { clean, table } from '../output.ts';
import type { Verb, VerbCall, VerbOutput } from '../verb.ts';
import { countOption } from './options.ts';

export const usage: Verb = async (call) => (call.options.collective === true ? collective(call) : here(call));

/** Exactly the rows that travel: nothing else leaves the machine. */
async function here(call: VerbCall): Promise<VerbOutput> {
  const { style } = call;
  const result = await usageHere(await call.open());
  const wanted = (rows: ({ session: string } & Counted)[]) =>
    rows.filter((row) => call.args[0] === undefined || row.plugin === call.args[0]);
  const [waiting, sent] = [wanted(result.waiting), wanted(result.sent.counts)];
  const rows = (counts: ({ session: string } & Counted)[]) =>
    table(
      ['PLUGIN', 'VERSION', 'KIND', 'COMPONENT', 'DAY', 'COUNT', 'SESSION'],
      counts.map((c) => [c.plugin, c.version, c.kind, c.component, c.day, String(c.count), style.dim(c.session)]),
      style,
    );
  const { at, ignored, refused } = result.sent;
  const lines = [
    ...(result.counting
      ? []
      : [style.yellow('Nothing is counted or sent: no hub was joined, or plugins.usage or plugins.enabled is false.')]),
    waiting.length === 0 ? 'Nothing waits to be sent.' : `${style.bold('The next sync sends')}\n${rows(waiting)}`,
    ...(sent.length === 0 ? [] : [`${style.bold(`Sent last, at ${at}`)}\n${rows(sent)}`]),
    ...(ignored === 0
      ? []
      : [
          style.yellow(
            `The hub did not count ${ignored} of these rows: it has no such plugin, or their day is not near its own (is this clock right?).`,
          ),
        ]),
    ...(refused === null ? [] : [style.yellow(`The hub refused what was sent since: ${clean(refused)}`)]),
    style.dim('Names and counts only, never prompts or arguments. Off: hv config set usage false'),
  ];
  return {
    json: { counting: result.counting, waiting, sent: { at, counts: sent, ignored, refused } },
    text: lines.join('\n'),
  };
}

async function collective(call: VerbCall): Promise<VerbOutput> {
  const { options, style } = call;
  const plugin = call.args[0];
  const by = options.by ?? (plugin === undefined ? 'plugin' : 'component');
  if (!USAGE_GROUPINGS.includes(by)) {
    throw new HaiveError('USAGE', `--by ${by} is none of ${USAGE_GROUPINGS.join(', ')}`);
  }
  const days = countOption(options.days, 'days');
  const query = {
    by,
    ...(plugin === undefined ? {} : { plugin }),
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(days === undefined ? {} : { days }),
  };
  const result = await ask(await call.open(), 'reader', (hub) => hub.call('usage', { query }));
  const what = (row: (typeof result.rows)[number]): string[] => {
    if (by === 'version') return [`${row.plugin}@${row.version}`];
    if (by === 'component') return [`${row.plugin}`, `${row.kind} ${row.component}`];
    return [String(by === 'plugin' ? row.plugin : by === 'group' ? row.group : row.day)];
  };
  const head = by === 'component' ? ['PLUGIN', 'COMPONENT'] : [by.toUpperCase()];
  const rows = result.rows.map((row) => [
    ...what(row),
    String(row.uses),
    row.machines === null ? '' : String(row.machines),
  ]);
  return {
    json: result,
    text:
      rows.length === 0 ? `Nothing was used since ${result.since}.` : table([...head, 'USES', 'MACHINES'], rows, style),
  };
}
