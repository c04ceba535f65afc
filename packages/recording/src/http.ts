/** An answer of a store or a key service. */
export interface Answer {
  readonly status: number
  readonly body: Buffer
}

const timeoutMilliseconds = 20_000

/**
 * Asks once. No redirect is followed: what is sent with a credential goes to the address that was configured and nowhere else.
 * @param maxBytes of the answer
 * @throws when there is no whole answer, with no word of what was sent
 */
export async function ask(url: string, request: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: Uint8Array }, maxBytes: number): Promise<Answer> {
  const { method, headers, body } = request
  const response = await fetch(url, { method, headers, redirect: 'manual', signal: AbortSignal.timeout(timeoutMilliseconds), ...(body === undefined ? {} : { body: new Uint8Array(body) }) })
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body ?? []) {
    bytes += part.length
    // Leaving the loop cancels the rest.
    if (bytes > maxBytes) throw new Error('the answer is too large')
    parts.push(part)
  }
  return { status: response.status, body: Buffer.concat(parts) }
}
