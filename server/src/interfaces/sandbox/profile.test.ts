import { describe, expect, it } from 'vitest';
import { environmentFor, hostAllowed, type Place, scopesOf } from './profile.ts';

const place: Place = {
  home: '/home/jo',
  project: '/home/jo/work/app',
  root: '/home/jo/.claude/plugins/.haivemind/versions/p/1',
  data: '/home/jo/.claude/plugins/data/p',
  scratch: '/tmp/hv-1',
  temporary: '/tmp',
  path: ['/usr/bin', '/home/jo/.local/bin', 'relative'],
  node: '/home/jo/.nvm/v20/bin/node',
  ours: ['/home/jo/.haivemind'],
};
const scopes = (...files: string[]) => scopesOf({ files }, place);

describe('what a confined program reaches', () => {
  it('is neither the home nor sockets, but its plugin, the project to read, its data and its own temporary folder', () => {
    const { denyRead, allowRead, allowWrite, denyWrite } = scopes();
    expect(denyRead).toEqual(['/home/jo', '/tmp', '/run', '/var/run']);
    expect(allowRead).toEqual([
      place.root,
      '/home/jo/.nvm/v20',
      '/usr/bin',
      '/home/jo/.local/bin',
      place.project,
      place.scratch,
      place.data,
    ]);
    expect(allowWrite).toEqual([place.scratch, place.data]);
    expect(denyWrite).toEqual(['/home/jo/.haivemind']);
  });

  it('grows by what is declared, to write or only to read', () => {
    const { allowRead, allowWrite } = scopes('./out', '~/notes', '/srv/x/../y', 'read:~/.kube/config');
    const added = ['/home/jo/work/app/out', '/home/jo/notes', '/srv/y'];
    expect(allowWrite).toEqual([place.scratch, place.data, ...added]);
    expect(allowRead).toEqual(expect.arrayContaining([...added, '/home/jo/.kube/config']));
  });

  it('never is the home as a whole, nor what holds it, whatever is declared', () => {
    for (const scope of ['~', '~/', '/', '/home', '/home/jo/x/..', '../..', 'read:~', 'read:/', '~/*', '']) {
      expect(scopes(scope), scope).toEqual(scopes());
    }
  });

  it('does not hold the project where that is the home itself', () => {
    const { allowRead } = scopesOf({ files: [] }, { ...place, project: '/home/jo' });
    expect(allowRead).not.toContain('/home/jo');
  });
});

describe('where a confined program may go', () => {
  it('is a declared host, with its port where one is named', () => {
    expect(hostAllowed(['api.example.com'], 'API.example.com', 443)).toBe(true);
    expect(hostAllowed(['*.example.com'], 'a.example.com', 443)).toBe(true);
    expect(hostAllowed(['api.example.com:8443'], 'api.example.com', 8443)).toBe(true);
    expect(hostAllowed(['*'], 'anything', 1)).toBe(true);
  });

  it.each([
    [[], 'api.example.com', 443],
    [['api.example.com'], 'api.example.com.evil.org', 443],
    [['*.example.com'], 'example.com', 443],
    [['api.example.com:8443'], 'api.example.com', 443],
    [['127.0.0.1:80'], '127.0.0.1', 8080],
  ])('is not %j for %s:%i', (hosts, host, port) => {
    expect(hostAllowed(hosts, host, port)).toBe(false);
  });
});

it('gives a program plain variables, its own and declared ones, and no secret', () => {
  const all = {
    PATH: '/bin',
    LC_ALL: 'C',
    ANTHROPIC_API_KEY: 'k',
    CLAUDE_CODE_OAUTH_TOKEN: 't',
    CLAUDE_ENV_FILE: '/e',
    SSH_AUTH_SOCK: '/s',
    HAIVEMIND_TOKEN: 'h',
    CLAUDE_PLUGIN_ROOT: '/r',
    CLAUDE_PLUGIN_OPTION_URL: 'u',
    GH_TOKEN: 'g',
    GH_HOST: 'x',
    NPM_TOKEN: undefined,
  };
  expect(environmentFor(['GH_*', 'NPM_TOKEN'], all, '/tmp/hv')).toEqual({
    PATH: '/bin',
    LC_ALL: 'C',
    CLAUDE_PLUGIN_ROOT: '/r',
    CLAUDE_PLUGIN_OPTION_URL: 'u',
    GH_TOKEN: 'g',
    GH_HOST: 'x',
    TMPDIR: '/tmp/hv',
    TEMP: '/tmp/hv',
    TMP: '/tmp/hv',
  });
});
