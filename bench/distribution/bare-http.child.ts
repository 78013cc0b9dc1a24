// The yardstick of noop: what node:http answers when there is nothing to do.
import { createServer } from 'node:http';

const server = createServer((_, response) => response.writeHead(304, { etag: '"x"' }).end());
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  console.log(typeof address === 'object' && address !== null ? address.port : 0);
});
