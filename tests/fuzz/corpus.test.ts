// Everything the fuzzer kept, and what it once broke, again: nothing but refusals, and every promise holds.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { HaiveError } from '../../server/src/domain/errors.ts';
import { TARGETS } from './targets.ts';

const kept = (name: string): Buffer[] => {
  const dir = join(import.meta.dirname, 'corpus', name);
  return (existsSync(dir) ? readdirSync(dir) : []).map((file) => readFileSync(join(dir, file)));
};

it.each(Object.keys(TARGETS))('%s', async (name) => {
  const target = TARGETS[name];
  const inputs = [...(target?.seeds ?? []).map((seed) => Buffer.from(seed)), ...kept(name)];
  expect(inputs.length).toBeGreaterThan(1);
  const thrown: unknown[] = [];
  for (const input of inputs) {
    try {
      await target?.run(input);
    } catch (error) {
      if (!(error instanceof HaiveError) || error.code === 'INTERNAL') thrown.push(error);
    }
  }
  expect(thrown).toEqual([]);
});
