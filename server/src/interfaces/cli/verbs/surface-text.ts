import { withheldInWords } from '../../../domain/approval.ts';
import { LABELS } from '../../../domain/surface/change.ts';
import { SURFACE_KEYS, type Surface } from '../../../domain/surface/index.ts';
import { clean, type Style } from '../output.ts';

/** A surface in plain words, a line for each kind. */
export function surfaceLines(surface: object, style: Style, mark = '  '): string[] {
  return SURFACE_KEYS.flatMap((key) => {
    const items = (surface as Partial<Surface>)[key] ?? [];
    return items.length === 0 ? [] : [`${mark}${style.dim(`${LABELS[key]}:`)} ${items.map(clean).join(', ')}`];
  });
}

/** Which groups wait for more operators, and what the next one runs. */
export function withheldLines(
  withheld: { groups: string[]; approvals: number; by: string[] } | null | undefined,
  ref: string,
  style: Style,
): string[] {
  if (withheld === null || withheld === undefined) return [];
  const { by } = withheld;
  const so = by.length === 0 ? 'nobody yet' : by.map(clean).join(', ');
  return [style.yellow(`… ${withheldInWords(withheld)}, so far ${so}: another one runs hv approve ${ref}`)];
}
