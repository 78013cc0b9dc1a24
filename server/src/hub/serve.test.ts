import { describe, expect, it } from 'vitest';
import { readyText } from './serve.ts';

describe('what a person reads who started a hub', () => {
  const said = (url: string, host: string, behindProxy = false): string =>
    readyText(
      { url, adminToken: null, joinLine: `node -e '' ${url}`, context: { store: { dialect: 'sqlite' } } },
      { host, behindProxy },
    );

  it('says where the line that joins is of no use on other machines', () => {
    expect(said('https://127.0.0.1:7420', '0.0.0.0')).toContain('--public-url');
    expect(said('http://127.0.0.1:7420', '127.0.0.1', true)).toContain('--public-url');
    expect(said('https://[::1]:7420', '::')).toContain('--public-url');
  });

  it('says nothing of it where it is, or where the hub is for its own host', () => {
    expect(said('https://hub.example.com', '0.0.0.0')).not.toContain('--public-url');
    expect(said('http://127.0.0.1:7420', '127.0.0.1')).not.toContain('--public-url');
  });
});
