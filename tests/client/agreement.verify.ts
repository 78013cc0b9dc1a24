// Our validation and the real client's agree on plugins with one fault each and on good ones.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FAULTS, GOOD, MENDED } from '../packaging/one-fault.ts';
import { pluginFiles } from '../support/plugin-files.ts';
import { type TempHome, tempHome } from '../support/temp-home.ts';
import { type Comparison, compareAll, writeSource } from './agreement/compare.ts';
import { confusionTable, missed, stricter } from './agreement/table.ts';

let home: TempHome;
let all: Comparison[] = [];
const named = (kind: string): Comparison[] => all.filter((c) => c.name.startsWith(kind));

beforeAll(async () => {
  home = await tempHome('agreement');
  const root = join(home.project, 'plugins');
  const folders: string[] = [];
  for (const [kind, cases] of Object.entries({ broken: FAULTS, mended: MENDED })) {
    for (const [what, , contents] of cases) {
      const folder = join(root, kind, what);
      folders.push(folder);
      await writeSource(folder, pluginFiles(contents));
    }
  }
  for (const [what, contents, executable = []] of GOOD) {
    const folder = join(root, 'good', what);
    folders.push(folder);
    await writeSource(folder, pluginFiles(contents, executable));
  }
  all = await compareAll(home, root, folders);
  console.log(confusionTable(all));
}, 900_000);
afterAll(() => home.remove());

it('we fail all that the client fails', () => {
  expect(named('broken').length).toBeGreaterThanOrEqual(60);
  expect(missed(all).map((c) => [c.name, c.clientErrors])).toEqual([]);
});

it('good plugins pass in both', () => {
  expect(named('good').length).toBeGreaterThanOrEqual(30);
  expect(named('good').filter((c) => c.client !== 'pass' || c.ours !== 'pass')).toEqual([]);
});

it('what we refuse beyond the client is what extra-errors.test.ts proves not to work', () => {
  expect(
    stricter(all)
      .map((c) => c.name.replace(/^broken\//, ''))
      .sort(),
  ).toEqual(['mcp_tool on SessionStart', 'range of no version', 'rule as matcher beside an if']);
});
