import { describe, expect, it } from 'vitest';
import { askedServer, carried, carriedJson, grantsInPlugin, matcherInPlugin, secretKeys } from './migration.ts';

const HOME = { home: '/home/me', claudeDir: '/home/me/.claude' };
const all = (): boolean => true;
const root = '$' + '{CLAUDE_PLUGIN_ROOT}';

describe('files below ~/.claude', () => {
  it.each(['~/.claude/x/a.txt', '$HOME/.claude/x/a.txt', `\${HOME}/.claude/x/a.txt`, '/home/me/.claude/x/a.txt'])(
    '%s comes along',
    (path) => {
      expect(carried(`read ${path}.`, HOME, (below) => below === 'x/a.txt.' || below === 'x/a.txt')).toEqual({
        text: `read ${root}/files/x/a.txt.`,
        files: ['x/a.txt.'],
      });
    },
  );

  it('is quoted for a shell, unless it is already', () => {
    const group = { hooks: [{ type: 'command', command: 'sh ~/.claude/a.sh "$HOME/.claude/b.sh"' }] };
    expect(carriedJson(group, HOME, all)).toEqual({
      value: { hooks: [{ type: 'command', command: `sh "${root}/files/a.sh" "${root}/files/b.sh"` }] },
      files: expect.arrayContaining(['a.sh', 'b.sh']),
    });
    const exec = { type: 'command', command: 'sh', args: ['~/.claude/a.sh'] };
    expect(carriedJson(exec, HOME, all)).toMatchObject({ value: { args: [`${root}/files/a.sh`] } });
  });

  it.each(['~/.claude/none', '~/bin/x', '$HOME/bin/x', '/home/me/x', 'cd ~'])('%s stays, with the reason', (text) => {
    expect(carried(text, HOME, () => false)).toEqual({ why: expect.stringContaining('it names ') });
  });

  it.each(['/usr/bin/x', 'a~b', './x', '$CLAUDE_PROJECT_DIR/x', 'https://example.org/home/me2'])(
    '%s is no reason',
    (text) => {
      expect(carried(text, HOME, () => false)).toEqual({ text, files: [] });
    },
  );
});

describe('tools of moved servers', () => {
  it.each([
    ['allowed-tools: Bash, mcp__dice__*', 'allowed-tools: Bash, mcp__dice__*, mcp__plugin_team_dice__*'],
    ['allowed-tools: ["mcp__dice__roll"]', 'allowed-tools: ["mcp__dice__roll", "mcp__plugin_team_dice__roll"]'],
    ['tools:\n  - mcp__dice', 'tools:\n  - mcp__dice\n  - mcp__plugin_team_dice'],
    ['tools: mcp__dice2__*', 'tools: mcp__dice2__*'],
  ])('%s', (before, after) => {
    const text = (head: string): string => `---\n${head}\n---\n\nCall mcp__dice__roll\n`;
    expect(grantsInPlugin(text(before), 'team', ['dice'])).toBe(text(after));
  });

  it('matchers fire for both names', () => {
    const matcher = new RegExp(`^(${matcherInPlugin('mcp__dice__.*', 'team', ['dice'])})$`);
    for (const name of ['mcp__dice__roll', 'mcp__plugin_team_dice__roll']) expect(matcher.test(name)).toBe(true);
    expect(matcher.test('mcp__other__roll')).toBe(false);
  });
});

it('secrets of a server are asked for, references and plain settings are not', () => {
  const server = {
    command: 'x',
    env: { API_KEY: 'k', REGION: 'eu', TOKEN: '$' + '{TOKEN}', EMPTY_SECRET: '' },
    headers: { Authorization: 'Bearer k' },
  };
  expect(secretKeys(server)).toEqual([
    { place: 'env', key: 'API_KEY' },
    { place: 'headers', key: 'Authorization' },
  ]);
  const asked = askedServer('Paid', server);
  expect(asked.server).toMatchObject({
    env: { API_KEY: '$' + '{user_config.paid_api_key}', REGION: 'eu' },
    headers: { Authorization: '$' + '{user_config.paid_authorization}' },
  });
  expect(asked.userConfig.paid_api_key).toMatchObject({ sensitive: true, type: 'string' });
  expect(JSON.stringify(asked)).not.toContain('Bearer k');
});
