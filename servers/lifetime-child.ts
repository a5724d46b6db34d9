// A process with a server of its own, which the test of lifetime.ts ends.
import { temporaryFolder } from './lifetime.ts';
import { ServerProcess } from './server-process.ts';

const folder = temporaryFolder('strongroom-lifetime');
const server = new ServerProcess(process.execPath, ['-e', 'console.log("ready"); setInterval(() => {}, 60_000)']);
await server.prints(/ready/);
process.stdout.write(JSON.stringify({ server: server.pid, folder }));
setInterval(() => undefined, 60_000);
