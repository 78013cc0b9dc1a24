import { describe, expect, it } from 'vitest';
import { lockText, parseLock } from './lockfile.ts';

const row = (name: string) => ({ name, version: '1.0.0', digest: `sha256:${'a'.repeat(64)}` });

describe('a lockfile', () => {
  it('holds every name that a plugin may have', () => {
    const rows = ['my-tool', 'my.tool', 'my_tool', '0'].map(row);
    expect(parseLock(lockText(rows), 'lock')).toEqual([...rows].sort((a, b) => (a.name < b.name ? -1 : 1)));
  });

  it.each(['../x', 'Mine', 'a..b', 'x.json', 'cache', ''])('refuses the name %j', (name) => {
    const refused = { code: 'LOCK_INVALID', message: expect.stringContaining('plugins.0.name') };
    expect(() => parseLock(lockText([row(name)]), 'lock')).toThrow(expect.objectContaining(refused));
  });
});
