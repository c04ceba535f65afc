import type { IncomingMessage } from 'node:http'
import { violation } from './api-server.js'

/**
 * A whole answer of the API server, as text.
 * @throws {UpstreamError} when it is longer than `limit` bytes or broken off
 */
export async function readAll(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response) {
      const buffer = Buffer.from(chunk)
      bytes += buffer.length
      if (bytes > limit) break
      chunks.push(buffer)
    }
  } catch {
    throw violation('broke its answer off')
  }
  if (bytes > limit) {
    response.destroy()
    throw violation('answered more than was expected')
  }
  return Buffer.concat(chunks).toString('utf8')
}
