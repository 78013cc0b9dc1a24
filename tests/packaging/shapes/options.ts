// Options and channels of plugin.json.
import { M } from '../one-fault.ts';
import type { Shape } from './shape.ts';

export const OPTIONS: Shape[] = [
  ['no type', 'fail', M({ userConfig: { k: { title: 't', description: 'd' } } })],
  ['no title', 'fail', M({ userConfig: { k: { type: 'string', description: 'd' } } })],
  ['no description', 'fail', M({ userConfig: { k: { type: 'string', title: 't' } } })],
  [
    'all',
    'pass',
    M({
      userConfig: {
        k: { type: 'string', title: 't', description: 'd', required: true, default: 'x', sensitive: true },
      },
    }),
  ],
  ['secret', 'fail', M({ userConfig: { k: { type: 'string', title: 't', description: 'd', secret: true } } })],
  [
    'number',
    'pass',
    M({ userConfig: { k: { type: 'number', title: 't', description: 'd', default: 3, min: 1, max: 5 } } }),
  ],
  [
    'number default str',
    'pass',
    M({ userConfig: { k: { type: 'number', title: 't', description: 'd', default: '3' } } }),
  ],
  ['boolean', 'pass', M({ userConfig: { k: { type: 'boolean', title: 't', description: 'd', default: false } } })],
  [
    'dir multiple',
    'pass',
    M({ userConfig: { k: { type: 'directory', title: 't', description: 'd', multiple: true, default: ['a'] } } }),
  ],
  ['enum', 'fail', M({ userConfig: { k: { type: 'string', title: 't', description: 'd', enum: ['a'] } } })],
  ['select', 'fail', M({ userConfig: { k: { type: 'select', title: 't', description: 'd', options: ['a'] } } })],
  [
    'options',
    'pass',
    M({ userConfig: { k: { type: 'string', title: 't', description: 'd', options: ['a', 'b'], default: 'a' } } }),
  ],
  [
    'options objects',
    'fail',
    M({ userConfig: { k: { type: 'string', title: 't', description: 'd', options: [{ value: 'a' }], default: 'a' } } }),
  ],
  ['password', 'fail', M({ userConfig: { k: { type: 'password', title: 't', description: 'd' } } })],
  ['list', 'fail', M({ userConfig: [{ key: 'k' }] })],
  ['key dash', 'fail', M({ userConfig: { 'api-key': { type: 'string', title: 't', description: 'd' } } })],
  ['key upper', 'pass', M({ userConfig: { API_KEY: { type: 'string', title: 't', description: 'd' } } })],
  ['key dot', 'fail', M({ userConfig: { 'a.b': { type: 'string', title: 't', description: 'd' } } })],
  ['empty title', 'pass', M({ userConfig: { k: { type: 'string', title: '', description: '' } } })],
  ['default null', 'fail', M({ userConfig: { k: { type: 'string', title: 't', description: 'd', default: null } } })],
  ['default obj', 'fail', M({ userConfig: { k: { type: 'string', title: 't', description: 'd', default: {} } } })],
  ['min > max', 'pass', M({ userConfig: { k: { type: 'number', title: 't', description: 'd', min: 5, max: 1 } } })],
  [
    '200 options',
    'pass',
    M({
      userConfig: Object.fromEntries(
        Array.from({ length: 200 }, (_, i) => [`k${i}`, { type: 'string', title: 't', description: 'd' }]),
      ),
    }),
  ],
  [
    'ch ok',
    'pass',
    { ...M({ channels: [{ server: 's', displayName: 'S' }] }), '.mcp.json': { mcpServers: { s: { command: 'x' } } } },
  ],
  ['ch no such server', 'pass', M({ channels: [{ server: 's' }] })],
  [
    'ch extra',
    'fail',
    { ...M({ channels: [{ server: 's', foo: 1 }] }), '.mcp.json': { mcpServers: { s: { command: 'x' } } } },
  ],
  ['ch object', 'fail', M({ channels: { s: {} } })],
  ['ch strings', 'fail', M({ channels: ['s'] })],
];
