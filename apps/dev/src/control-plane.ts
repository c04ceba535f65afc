/** The few REST calls that the runner makes to set a stack up. */
export class ControlPlane {
  readonly #url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  /** Applies all or nothing; the error quotes what was wrong with which file. */
  async apply(documents: readonly { path: string; text: string }[]): Promise<void> {
    const result = await this.#call('POST', '/v1/apply', { documents, reason: 'demo' })
    const failed = list(result['tests']).filter((test) => test['ok'] === false)
    if (result['applied'] !== true) throw new Error(`the demo's documents were not applied: ${JSON.stringify(failed, undefined, 2)}`)
  }

  /** A one-time enrolment token. */
  async enrolmentToken(kind: 'agent' | 'gateway', name: string, labels: Readonly<Record<string, string>>): Promise<string> {
    return text(await this.#call('POST', '/v1/agents/tokens', { name, kind, labels, ttl_seconds: 3600 }), 'token')
  }

  async userToken(user: string, name: string, ttlSeconds: number): Promise<string> {
    return text(await this.#call('POST', '/v1/tokens', { user, name, ttl_seconds: ttlSeconds }), 'token')
  }

  /** The certificate authority that clients check the gateway against, PEM. */
  async clientAuthority(target: string): Promise<string> {
    return text(await this.#call('GET', `/v1/targets/${encodeURIComponent(target)}/connection`), 'ca_pem')
  }

  async targets(): Promise<{ name: string; protocol: string }[]> {
    const result = await this.#call('GET', '/v1/targets')
    return list(result['items']).map((item) => ({ name: text(item, 'name'), protocol: text(item, 'protocol') }))
  }

  /** Whether this client's own token is (still) good. */
  async accepts(): Promise<boolean> {
    const response = await fetch(`${this.#url}/v1/whoami`, { headers: { authorization: `Bearer ${this.#token}` } })
    return response.ok
  }

  async #call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    })
    const raw = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${raw.slice(0, 4000)}`)
    return record(JSON.parse(raw))
  }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the control plane answered something else than an object')
  return { ...value }
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(record) : []
}

function text(object: Record<string, unknown>, key: string): string {
  const value = object[key]
  if (typeof value !== 'string') throw new Error(`the control plane's answer lacks ${key}`)
  return value
}
