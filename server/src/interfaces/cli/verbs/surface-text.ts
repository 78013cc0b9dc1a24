import { SURFACE_KEYS, type Surface } from '../../../domain/surface.ts';
import { LABELS } from '../../../domain/surface-change.ts';
import { clean, type Style } from '../output.ts';

/** A surface in plain words, a line for each kind. */
export function surfaceLines(surface: object, style: Style, mark = '  '): string[] {
  return SURFACE_KEYS.flatMap((key) => {
    const items = (surface as Partial<Surface>)[key] ?? [];
    return items.length === 0 ? [] : [`${mark}${style.dim(`${LABELS[key]}:`)} ${items.map(clean).join(', ')}`];
  });
}
