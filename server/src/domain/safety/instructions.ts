import { overridesFor } from './pre-filter.ts';
import type { Sighting, TextFile } from './text-file.ts';

/** Texts for a model that try to set its rules, or its user, aside. */
const PATTERNS: [what: string, pattern: RegExp][] = [
  [
    'tells the model to ignore its instructions',
    /\b(?:ignore|disregard|forget|override|bypass)\s{1,4}(?:all\s{1,4}|any\s{1,4}|the\s{1,4}|your\s{1,4}|of\s{1,4}){0,3}(?:previous|prior|above|earlier|preceding|system|safety|original)\s{1,4}(?:instructions?|prompts?|rules?|guidelines?|messages?|directives?)/gi,
  ],
  [
    'tells the model to hide something from the user',
    /\b(?:do\s{1,4}not|don't|never)\s{1,4}(?:tell|inform|mention|reveal|show|disclose)\b[^.\n]{0,60}\bto\s{1,4}the\s{1,4}(?:user|human)\b|\b(?:do\s{1,4}not|don't|never)\s{1,4}(?:tell|inform|alert|notify|warn)\s{1,4}the\s{1,4}(?:user|human)\b|\bwithout\s{1,4}(?:telling|informing)\s{1,4}the\s{1,4}(?:user|human)\b/gi,
  ],
  [
    'asks to run without permissions',
    /--dangerously-skip-permissions|\bbypassPermissions\b|\bskip\s{1,4}(?:all\s{1,4})?permission\s{1,4}(?:checks?|prompts?)/gi,
  ],
  [
    'gives the model another identity without rules',
    /\byou\s{1,4}are\s{1,4}(?:now\s{1,4})?(?:DAN|jailbroken|unrestricted|free\s{1,4}of\s{1,4}all\s{1,4}rules)\b|<\/?(?:system|system-reminder)>/gi,
  ],
];

/** One finding a kind and file. */
export function findOverrides(file: TextFile): Sighting[] {
  const worth = overridesFor(file);
  return PATTERNS.flatMap(([what, pattern], i): Sighting[] => {
    if ((worth & (1 << i)) === 0) return [];
    const match = file.text.matchAll(pattern).next().value;
    if (match === undefined) return [];
    const said = JSON.stringify(match[0].slice(0, 80));
    return [
      {
        code: 'INSTRUCTION_OVERRIDE',
        severity: 'warning',
        offset: match.index,
        message: `${said} ${what}.`,
        fix: 'Say what to do instead; machines may refuse plugins that do this.',
      },
    ];
  });
}
