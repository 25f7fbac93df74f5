// Loaded with --import into a worker: answers any message with the URLs of all scripts that V8 holds.
import { Session } from 'node:inspector';

process.on('message', () => {
  const urls = [];
  const session = new Session();
  session.connect();
  session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url));
  session.post('Debugger.enable', () => {
    session.disconnect();
    process.send(urls);
  });
});
// The channel must not keep a drained worker alive.
process.channel?.unref();
