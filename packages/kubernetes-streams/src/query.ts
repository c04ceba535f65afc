import type { RequestedStreams } from './faces.js'

/**
 * Which streams a query announces, or undefined when that can't be said for sure: a value that the API server and a kubelet
 * might read differently, a repeated key, or no stream at all. An absent key means no. With a terminal stderr is left out, as the kubelet does.
 */
export function requestedStreams(query: URLSearchParams): RequestedStreams | undefined {
  const read = (key: string): boolean | undefined => {
    const values = query.getAll(key)
    if (values.length === 0) return false
    if (values.length > 1) return undefined
    return values[0] === 'true' || values[0] === '1' ? true : values[0] === 'false' || values[0] === '0' ? false : undefined
  }
  const stdin = read('stdin')
  const stdout = read('stdout')
  const stderr = read('stderr')
  const tty = read('tty')
  if (stdin === undefined || stdout === undefined || stderr === undefined || tty === undefined) return undefined
  const requested = { stdin, stdout, stderr: stderr && !tty, tty }
  return requested.stdin || requested.stdout || requested.stderr ? requested : undefined
}
