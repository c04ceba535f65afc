/** As much of a browser as signing in needs: cookies by origin, redirects followed by hand. */
export class CookieJar {
  readonly #cookies = new Map<string, Map<string, string>>()

  /** One request; redirects are not followed. */
  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const { host } = new URL(url)
    const own = this.#cookies.get(host) ?? new Map<string, string>()
    const headers = new Headers(init.headers)
    if (own.size > 0) headers.set('cookie', [...own].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';')
      const [name = '', ...value] = pair.split('=')
      const gone = attributes.some((attribute) => /^\s*(max-age=0|expires=thu, 01 jan 1970.*)$/i.test(attribute))
      if (gone) own.delete(name)
      else own.set(name, value.join('='))
    }
    this.#cookies.set(host, own)
    return response
  }

  /** Follows redirects from a page to the first that isn't one. */
  async follow(url: string | URL, init: RequestInit = {}): Promise<{ response: Response; url: URL }> {
    let at = new URL(url)
    let response = await this.fetch(at, init)
    for (let hops = 0; response.status >= 300 && response.status < 400 && hops < 20; hops += 1) {
      at = new URL(response.headers.get('location') ?? '', at)
      response = await this.fetch(at)
    }
    return { response, url: at }
  }

  get(url: string, name: string): string | undefined {
    return this.#cookies.get(new URL(url).host)?.get(name)
  }

  set(url: string, name: string, value: string): void {
    const own = this.#cookies.get(new URL(url).host) ?? new Map<string, string>()
    this.#cookies.set(new URL(url).host, own.set(name, value))
  }
}

/** Signs a demo person in. Returns the page that it ends on. */
export async function signIn(jar: CookieJar, api: string, login: string, back = '/v1/whoami'): Promise<{ response: Response; url: URL }> {
  const form = await jar.follow(`${api}/auth/signin/demo-people?return=${encodeURIComponent(back)}`)
  if (!form.url.pathname.startsWith('/interaction/')) return form
  return jar.follow(form.url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `login=${login}` })
}
