import { isIP } from 'node:net'

const timeoutMilliseconds = 5_000
/** Discovery documents and key sets are a few kilobytes. */
const maxBytes = 512 * 1024

export class FetchRefusedError extends Error {
  override readonly name = 'FetchRefusedError'
}

/**
 * Fetches JSON that a document told us to fetch, under guards against being led elsewhere: https (plain http on loopback
 * only, and only when the document says so), no user information, no redirects, bounded size and time.
 * @throws {FetchRefusedError} with a text that holds nothing of the answer
 */
export async function fetchJson(address: string, insecureHttp: boolean): Promise<unknown> {
  const url = checkAddress(address, insecureHttp)
  let response: Response
  try {
    response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMilliseconds), headers: { accept: 'application/json' }, credentials: 'omit' })
  } catch {
    throw new FetchRefusedError(`${url.host} could not be reached (a redirect is not followed)`)
  }
  if (!response.ok) {
    await response.body?.cancel().catch(() => undefined)
    throw new FetchRefusedError(`${url.host} answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > maxBytes) throw new FetchRefusedError(`${url.host} answered too much`)
      chunks.push(chunk)
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    if (error instanceof FetchRefusedError) throw error
    throw new FetchRefusedError(`${url.host} did not answer with JSON in time`)
  }
}

/** @throws {FetchRefusedError} */
export function checkAddress(address: string, insecureHttp: boolean): URL {
  if (!URL.canParse(address)) throw new FetchRefusedError('the address is not a URL')
  const url = new URL(address)
  if (url.username !== '' || url.password !== '') throw new FetchRefusedError('the address holds credentials')
  if (url.protocol === 'https:') return url
  if (url.protocol === 'http:' && insecureHttp && isLoopbackHost(url.hostname)) return url
  throw new FetchRefusedError('the address is not https')
}

function isLoopbackHost(host: string): boolean {
  if (host === 'localhost' || host === '[::1]') return true
  return isIP(host) === 4 && host.startsWith('127.')
}
