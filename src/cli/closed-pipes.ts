function onError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

/** Lets a command go on to its own end when nobody reads its output any more, as in `islet check | head -1`. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.off('error', onError).on('error', onError);
}
