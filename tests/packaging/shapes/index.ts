import { good } from '../one-fault.ts';
import { AGENTS } from './agents.ts';
import { COMMANDS } from './commands.ts';
import { DEPENDENCIES } from './dependencies.ts';
import { HOOKS } from './hooks.ts';
import { FIELDS, MANIFESTS, NAMES } from './manifests.ts';
import { OPTIONS } from './options.ts';
import { PLACES } from './places.ts';
import { SERVERS } from './servers.ts';
import type { Shape } from './shape.ts';
import { SKILLS } from './skills.ts';

const at = (
  path: string,
  shapes: readonly Shape[],
): [what: string, verdict: Shape[1], contents: Record<string, unknown>][] =>
  shapes.map(([what, verdict, contents]) => [
    `${path.split('/')[0]}: ${what}`,
    verdict,
    typeof contents === 'string' ? { ...good, [path]: contents } : contents,
  ]);

/** All of them, each as a whole plugin. */
export const SHAPES = [
  ...at('commands/a.md', COMMANDS),
  ...at('agents/a.md', AGENTS),
  ...at('skills/s/SKILL.md', SKILLS),
  ...at('manifest', [...MANIFESTS, ...NAMES, ...FIELDS]),
  ...at('options', OPTIONS),
  ...at('dependencies', DEPENDENCIES),
  ...at('hooks', HOOKS),
  ...at('servers', SERVERS),
  ...at('places', PLACES),
];
