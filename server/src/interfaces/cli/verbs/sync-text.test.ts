import { expect, it } from 'vitest';
import type { SyncResult } from '../../../client/sync/index.ts';
import { styleFor } from '../output.ts';
import { syncLines } from './sync-text.ts';

const NOTHING: SyncResult = {
  changed: { installed: [], updated: [], reinstalled: [], removed: [] },
  ...{
    waiting: [],
    problems: [],
    layoutRefused: null,
    switched: null,
    warnings: [],
    expired: null,
    leaving: [],
    edits: [],
    revoked: [],
  },
  ...{ notModified: false, reloadNeeded: false, dryRun: false, counter: 1 },
};

it('an update points up, a way back down', () => {
  const updated = [
    { name: 'a', from: '1.9.0', to: '1.10.0' },
    { name: 'b', from: '1.1.0', to: '1.0.0' },
  ];
  const lines = syncLines({ ...NOTHING, changed: { ...NOTHING.changed, updated } }, styleFor(false));
  expect(lines).toEqual(['↑ a 1.9.0 → 1.10.0', '↓ b 1.1.0 → 1.0.0']);
});

it('a move to another layout is no step in step', () => {
  const switched = { from: 'native', to: 'loose' } as const;
  expect(syncLines({ ...NOTHING, switched }, styleFor(false))).toEqual(['= all plugins: layout native → loose']);
  expect(syncLines({ ...NOTHING, switched, dryRun: true }, styleFor(false))[0]).toMatch(/^would = all plugins/);
});
