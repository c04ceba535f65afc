import { createServer, type Server } from 'node:http'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string
  readonly body: unknown
}

/** [status, body]; a body of text is sent as it is. Or what makes one of the request's body. */
export type Answer = readonly [number, unknown] | ((body: unknown) => readonly [number, unknown])

/** A control plane of canned answers, for tests of the CLI: `METHOD /path` → answer. */
export class FakeApi {
  readonly requests: SeenRequest[] = []
  readonly #server: Server
  readonly url: string

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  static async start(answers: Readonly<Record<string, Answer>>): Promise<FakeApi> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const fake = new FakeApi(server, `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
    server.on('request', (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const raw = Buffer.concat(chunks).toString('utf8')
        const method = request.method ?? ''
        const path = request.url ?? ''
        const sent: unknown = raw === '' ? undefined : JSON.parse(raw)
        fake.requests.push({ method, path, authorization: request.headers.authorization ?? '', body: sent })
        const answer = answers[`${method} ${path.split('?', 1)[0] ?? ''}`] ?? [404, { title: 'Not Found', status: 404 }]
        const [status, body] = typeof answer === 'function' ? answer(sent) : answer
        const isText = typeof body === 'string'
        response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json' }).end(isText ? body : JSON.stringify(body))
      })
    })
    return fake
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}
