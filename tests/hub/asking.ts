// Short ways to ask the hub of the test that runs, for tests of who may have what.
import { type Answer, ask, type TestHub } from './support.ts';

export interface Asking {
  get(path: string, token: string): Promise<Answer>;
  post(path: string, token: string, body: unknown): Promise<Answer>;
  /** What the machine of this token says of itself. */
  report(token: string, said: object): Promise<Answer>;
  /** The machine of this token says that it has this version. */
  claim(token: string, name: string, digest: string, version?: string): Promise<void>;
}

export function asking(hub: () => TestHub): Asking {
  const post: Asking['post'] = (path, token, body) => ask(hub().url, 'POST', path, { token, body });
  const report: Asking['report'] = (token, said) => {
    const body = { counter: 1, haivemind_version: '1.0.0', partial: true, holds: [], plugins: [], ...said };
    return post('/api/machines/me/status', token, body);
  };
  return {
    get: (path, token) => ask(hub().url, 'GET', path, { token }),
    post,
    report,
    async claim(token, name, digest, version = '1.0.0') {
      (await report(token, { plugins: [{ name, version, digest, state: 'verified' }] })).expect(200);
    },
  };
}
