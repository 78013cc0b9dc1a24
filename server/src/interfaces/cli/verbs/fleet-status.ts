import { fleetStatus } from '../../../client/hub/registry.ts';
import { ERRORS } from '../../../domain/errors.ts';
import { parsePluginRef } from '../../../domain/names.ts';
import { clean, type Style, table } from '../output.ts';
import type { VerbCall, VerbOutput } from '../verb.ts';

type Machines = Awaited<ReturnType<typeof fleetStatus>>;
type Plugin = Machines[number]['plugins'][number];

/** `hv status [PLUGIN] --fleet`, `--out-of-step`, `--machine M`: what machines reported, against what they should have. */
export async function statusOfFleet(call: VerbCall): Promise<VerbOutput> {
  const { style } = call;
  const plugin = call.args[0] === undefined ? undefined : parsePluginRef(call.args[0]).name;
  const machine = call.options.machine as string | undefined;
  const machines = await fleetStatus(await call.open(), {
    plugin,
    machine,
    outOfStep: call.options.outOfStep === true,
  });
  const online = machines.filter((m) => m.online).length;
  const inStep = machines.filter((m) => m.in_step).length;
  // Of one machine or plugin everything is said, of a fleet what is not as it should be.
  const detailed = plugin !== undefined || machine !== undefined;
  const rows = machines.flatMap((m) => {
    const seen = m.online ? style.green('online') : style.dim(m.last_seen ?? 'never seen');
    const told = m.plugins.filter((p) => detailed || p.drift || p.state === 'failed');
    return told.map((p) => [
      style.bold(m.name),
      seen,
      p.name,
      p.installed ?? '-',
      p.desired ?? '-',
      paint(p, style),
      note(p),
    ]);
  });
  const refusals = machines.flatMap((m) => (m.refused ? [style.red(`! ${m.name}: ${refusalText(m.refused)}`)] : []));
  const problems = machines.flatMap((m) =>
    m.problems.map((p) => style.yellow(`! ${m.name}: ${p.name}: ${p.code}: ${clean(p.message)}`)),
  );
  const lines = [
    `${machines.length} machines, ${online} online, ${inStep} in step`,
    ...(rows.length > 0 ? [table(['MACHINE', 'SEEN', 'PLUGIN', 'HAS', 'WANTED', 'STATE', ''], rows, style)] : []),
    ...refusals,
    ...problems,
  ];
  return { json: { machines }, text: lines.join('\n') };
}

/** One line, with what the operator may do. */
export const refusalText = ({ code, message, at }: { code: string; message: string; at: string }): string =>
  clean(`follows no plan of this hub (${at}): ${code}: ${message}. ${ERRORS.PLAN_REPLAYED.hint}`);

function paint({ state }: Plugin, style: Style): string {
  if (state === 'verified' || state === 'loaded') return style.green(state);
  return state === 'failed' ? style.red(state) : style.yellow(state);
}

function note({ drift, edited, error }: Plugin): string {
  const parts = [
    ...(edited ? ['edited there'] : drift ? ['drift'] : []),
    ...(error === null ? [] : [clean(`${error.code}: ${error.message}`)]),
  ];
  return parts.join('; ');
}
