import { type Advice, advise } from '../../../client/advice.ts';
import { clean, type Style, shorten, table } from '../output.ts';
import type { Verb } from '../verb.ts';
import { countOption, listOption } from './options.ts';

export const recommend: Verb = async (call) => {
  const { options, style } = call;
  const task = call.rest.join(' ').trim();
  const keywords = listOption(options.keywords, 'keywords');
  const capabilities = listOption(options.capabilities, 'capabilities');
  const limit = countOption(options.limit, 'limit');
  const advice = await advise(await call.open(), {
    ...(task === '' ? {} : { task }),
    ...(options.machine === undefined ? {} : { machine: options.machine }),
    ...(keywords === undefined ? {} : { keywords }),
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(limit === undefined ? {} : { limit }),
  });
  const rows = advice.recommendations.map((r) => [
    style.bold(r.name),
    r.version,
    shorten(r.description, 50),
    style.dim(clean(shorten(r.reason, 90))),
  ]);
  const lines = [
    ...(advice.weak && rows.length > 0 ? [style.yellow('Nothing fits well; the nearest:')] : []),
    rows.length === 0 ? 'Nothing to recommend.' : table(['NAME', 'VERSION', 'DESCRIPTION', 'WHY'], rows, style),
    ...adviceLines({ ...advice, recommendations: [] }, style),
  ];
  return { json: advice, text: lines.join('\n') };
};

/** Advice as a few lines below something else. */
export function adviceLines(advice: Advice | null, style: Style): string[] {
  if (advice === null) return [];
  const { recommendations, unused, popular } = advice;
  return [
    ...recommendations.map(
      (r) => `${style.green('+')} ${r.name}: ${clean(r.reason)}${style.dim(`  (hv install ${r.name})`)}`,
    ),
    ...unused.map((u) => `${style.yellow('-')} ${u.name} ${clean(u.text)}${style.dim(`  (hv remove ${u.name})`)}`),
    ...(popular.length === 0
      ? []
      : [
          style.dim(
            `Most used in the collective: ${popular.map((p) => `${p.name} (${p.machines} machines)`).join(', ')}`,
          ),
        ]),
  ];
}
