import { expect, it } from 'vitest';
import { readHubConfig } from '../../server/src/hub/config.ts';

const read = (HAIVEMIND_CHROMA_URL?: string) =>
  readHubConfig({}, { HAIVEMIND_HOME: '/nonexistent', ...(HAIVEMIND_CHROMA_URL ? { HAIVEMIND_CHROMA_URL } : {}) })
    .chromaUrl;

it('takes the address of a Chroma server from the environment', () => {
  expect(read('http://127.0.0.1:8000/')).toBe('http://127.0.0.1:8000');
  expect(read()).toBeUndefined();
});

it.each(['localhost:8000', 'ftp://x', 'chroma'])('refuses %s as one', (url) => {
  expect(() => read(url)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});
