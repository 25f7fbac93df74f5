import http from 'node:http';

const agent = new http.Agent({ keepAlive: true });

/** Calls an API and reads its answer. Every contender on Node runs this handler. It does not use fetch, which costs RAM. */
export function callApi(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}
