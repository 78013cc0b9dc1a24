// Plugins as people write them: our verdict is what the client said of each (agreement.verify.ts asks it again).
import { expect, it } from 'vitest';
import { hasErrors, MENDED_BY_PUBLISHING } from '../../server/src/domain/findings/index.ts';
import { validatePlugin } from '../../server/src/domain/validate/index.ts';
import { pluginFiles } from '../support/plugin-files.ts';
import { SHAPES } from './shapes/index.ts';

it('are many', () => {
  expect(SHAPES.length).toBeGreaterThan(800);
  expect(new Set(SHAPES.map(([what]) => what)).size).toBe(SHAPES.length);
});

it.each(['pass', 'fail', 'never works'] as const)('where the verdict is: %s', (wanted) => {
  const others = SHAPES.filter(([, verdict]) => verdict === wanted).flatMap(([what, , contents]) => {
    const findings = validatePlugin(pluginFiles(contents));
    const isMended = findings.some((f) => f.severity === 'warning' && f.fix === MENDED_BY_PUBLISHING);
    const refused = hasErrors(findings);
    const agrees = wanted === 'pass' ? !refused : refused || (wanted === 'fail' && isMended);
    return agrees ? [] : [[what, findings.map((f) => `${f.severity} ${f.code}`)]];
  });
  expect(others).toEqual([]);
});

it('each error says what, where and how to mend it', () => {
  for (const [what, , contents] of SHAPES) {
    for (const finding of validatePlugin(pluginFiles(contents))) {
      expect([what, finding.message.length > 10, finding.fix.length > 5]).toEqual([what, true, true]);
    }
  }
});
