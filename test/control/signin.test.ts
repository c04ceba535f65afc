import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CookieJar, signIn } from '../support/browser.js'
import { psqlSession } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** People sign in at a real OpenID provider, in a process of its own, and what others try to make of it. */
let stack: Stack
let api: string
let people: string

const cookie = 'sallyport-session'

beforeAll(async () => {
  stack = await Stack.start({ env: { SALLYPORT_SIGNIN_REFRESH_SECONDS: '1', SALLYPORT_SIGNIN_ROTATE_SECONDS: '2' } })
  api = stack.line.api.url
  people = stack.line.people.url
})
afterAll(async () => {
  await stack?.stop()
})

async function signedIn(login: string): Promise<CookieJar> {
  const jar = new CookieJar()
  const { response, url } = await signIn(jar, api, login)
  expect([response.status, url.pathname], await response.clone().text()).toEqual([200, '/v1/whoami'])
  return jar
}

const whoami = async (jar: CookieJar): Promise<any> => {
  const response = await jar.fetch(`${api}/v1/whoami`)
  return response.status === 200 ? response.json() : response.status
}

const sameOrigin = { 'sec-fetch-site': 'same-origin' }
const post = async (jar: CookieJar, path: string, headers: Record<string, string>, body: unknown = {}): Promise<Response> =>
  jar.fetch(api + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })

describe('signing in', () => {
  test('a user by a verified address, with the document’s roles; the cookie is for nobody’s script', async () => {
    const jar = new CookieJar()
    const begun = await jar.fetch(`${api}/auth/signin/demo-people?return=/v1/whoami`)
    const url = new URL(begun.headers.get('location') ?? '')
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ response_type: 'code', code_challenge_method: 'S256', state: expect.any(String), nonce: expect.any(String), redirect_uri: `${api}/auth/callback` })
    const form = await jar.follow(url)
    const back = await jar.fetch(form.url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'login=dana' })
    let at = new URL(back.headers.get('location') ?? '', form.url)
    let response = await jar.fetch(at)
    while (response.status >= 300 && response.status < 400 && !at.pathname.startsWith('/auth/callback')) {
      at = new URL(response.headers.get('location') ?? '', at)
      response = await jar.fetch(at)
    }
    const set = response.headers.getSetCookie().find((line) => line.startsWith(`${cookie}=`)) ?? ''
    expect(set).toMatch(/; Path=\/; HttpOnly; SameSite=Lax; Max-Age=43200$/)
    expect(response.headers.get('location')).toBe('/v1/whoami')
    expect(await whoami(jar)).toMatchObject({ user: 'dana', roles: ['reviewer'], groups: ['dba'], csrf: expect.any(String) })
    const [event] = await stack.events('kind=user.signed_in&who=dana')
    expect(event).toMatchObject({ who: 'dana', event: { provider: 'demo-people', user: 'dana' } })
    // The code was used; so was the attempt.
    expect((await jar.fetch(at)).status).toBe(403)
  })

  test('somebody without a document is what claims make of them, or nobody', async () => {
    const olaf = await signedIn('olaf')
    expect(await whoami(olaf)).toMatchObject({ user: 'olaf@example.com', roles: ['auditor'] })
    expect((await olaf.fetch(`${api}/v1/events?limit=1`)).status).toBe(200)
    expect((await post(olaf, '/v1/apply', { ...sameOrigin, 'x-sallyport-csrf': (await whoami(olaf)).csrf }, { documents: [] })).status).toBe(403)
    const { response, url } = await signIn(new CookieJar(), api, 'mina')
    expect([response.status, url.pathname]).toEqual([403, '/auth/callback'])
    expect(await response.text()).toContain('SIGNIN_NO_ACCESS')
    expect((await stack.events('kind=auth.failed'))[0]).toMatchObject({ event: { method: 'oidc_signin', code: 'SIGNIN_NO_ACCESS' } })
  })

  test.each([
    ['another state', (url: URL) => url.searchParams.set('state', 'x')],
    ['another issuer (mix-up)', (url: URL) => url.searchParams.set('iss', 'https://evil.example')],
    ['no issuer', (url: URL) => url.searchParams.delete('iss')],
    ['another code', (url: URL) => url.searchParams.set('code', 'x')],
    ['an error of the provider', (url: URL) => { url.searchParams.delete('code'); url.searchParams.set('error', 'access_denied'); url.searchParams.set('error_description', '<script>alert(1)</script>') }],
  ])('refused: %s', async (_name, change) => {
    const jar = new CookieJar()
    const callback = await callbackOf(jar)
    change(callback)
    const response = await jar.fetch(callback)
    expect(response.status).toBe(403)
    expect(await response.text()).not.toContain('<script>')
    expect(await whoami(jar)).toBe(401)
  })

  test('refused: a callback in another browser, and an attempt that was changed', async () => {
    const jar = new CookieJar()
    const callback = await callbackOf(jar)
    const victim = new CookieJar()
    expect((await victim.fetch(callback)).status).toBe(403)
    expect(await whoami(victim)).toBe(401)
    const attempt = jar.get(api, 'sallyport-signin') ?? ''
    jar.set(api, 'sallyport-signin', attempt.slice(0, -4) + (attempt.endsWith('AAAA') ? 'BBBB' : 'AAAA'))
    expect((await jar.fetch(callback)).status).toBe(403)
  })

  test('leads back to this origin only', async () => {
    for (const back of ['https://evil.example/', '//evil.example', '/\\evil.example', '/\t/evil.example', '/%0d%0aSet-Cookie:x', 'javascript:alert(1)', '/auth/signin/demo-people']) {
      const jar = new CookieJar()
      const form = await jar.follow(`${api}/auth/signin/demo-people?return=${encodeURIComponent(back)}`)
      const callback = await stepsToCallback(jar, form.url)
      const location = (await jar.fetch(callback)).headers.get('location') ?? ''
      expect(new URL(location, api).origin, back).toBe(new URL(api).origin)
      expect(location.startsWith('//'), back).toBe(false)
    }
  })
})

/** Where the provider would send the browser next. */
async function callbackOf(jar: CookieJar): Promise<URL> {
  const form = await jar.follow(`${api}/auth/signin/demo-people`)
  return stepsToCallback(jar, form.url)
}

async function stepsToCallback(jar: CookieJar, form: URL): Promise<URL> {
  let at = form
  let response = await jar.fetch(form, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'login=dana' })
  for (let hops = 0; hops < 10; hops += 1) {
    at = new URL(response.headers.get('location') ?? '', at)
    if (at.pathname === '/auth/callback') return at
    response = await jar.fetch(at)
  }
  throw new Error('there was no callback')
}

describe('a session', () => {
  test('changes nothing for another site', async () => {
    const jar = await signedIn('ada')
    const { csrf } = await whoami(jar)
    const create = (headers: Record<string, string>): Promise<number> => post(jar, '/v1/tokens', headers, { user: 'ada', name: 'csrf' }).then(({ status }) => status)
    expect(await create({})).toBe(403)
    expect(await create({ 'x-sallyport-csrf': csrf })).toBe(403)
    expect(await create(sameOrigin)).toBe(403)
    expect(await create({ ...sameOrigin, 'x-sallyport-csrf': 'x' + csrf.slice(1) })).toBe(403)
    expect(await create({ 'sec-fetch-site': 'same-site', 'x-sallyport-csrf': csrf })).toBe(403)
    expect(await create({ 'sec-fetch-site': 'cross-site', origin: api, 'x-sallyport-csrf': csrf })).toBe(403)
    expect(await create({ origin: 'https://evil.example', 'x-sallyport-csrf': csrf })).toBe(403)
    expect(await create({ ...sameOrigin, 'x-sallyport-csrf': csrf })).toBe(201)
    expect(await create({ origin: api, 'x-sallyport-csrf': csrf })).toBe(201)
  })

  test('gets a new secret now and then; an old one that comes back later ends it', async () => {
    const jar = await signedIn('dana')
    const first = jar.get(api, cookie) ?? ''
    const next = await eventually(async () => {
      expect(await whoami(jar)).toMatchObject({ user: 'dana' })
      const now = jar.get(api, cookie)
      return now !== first && now
    }, 'the secret changes', 10_000)
    const thief = new CookieJar()
    thief.set(api, cookie, first)
    // Requests that were under way may still come with it, for a minute.
    expect(await whoami(thief)).toMatchObject({ user: 'dana' })
    thief.set(api, cookie, first.slice(0, -6) + (first.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'))
    expect(await whoami(thief)).toBe(401)
    expect(next.split('.')[0]).toBe(first.split('.')[0])
  })

  test('ends by signing out, here and at the provider, and by an administrator', async () => {
    const jar = await signedIn('dana')
    const { csrf } = await whoami(jar)
    const other = await signedIn('dana')
    const answer = await post(jar, '/v1/auth/signout', { ...sameOrigin, 'x-sallyport-csrf': csrf })
    expect(answer.status).toBe(200)
    const { location } = (await answer.json()) as { location: string }
    expect(new URL(location).origin).toBe(people)
    expect(await whoami(jar)).toBe(401)
    expect(await whoami(other)).toMatchObject({ user: 'dana' })
    const { body } = await stack.api('GET', '/v1/auth/sessions')
    const left = body.items.find((item: any) => other.get(api, cookie)?.startsWith(item.id))
    expect((await stack.api('DELETE', `/v1/auth/sessions/${left.id}`, undefined, stack.token('dana'))).status).toBe(204)
    expect(await whoami(other)).toBe(401)
  })

  test('ends when the person signs out at the provider (back-channel)', async () => {
    const jar = await signedIn('olaf')
    const other = new CookieJar()
    const out = await post(jar, '/v1/auth/signout', { ...sameOrigin, 'x-sallyport-csrf': (await whoami(jar)).csrf })
    const { location } = (await out.json()) as { location: string }
    const again = await signIn(jar, api, 'olaf')
    expect(again.url.pathname).toBe('/v1/whoami')
    expect(await whoami(jar)).toMatchObject({ user: 'olaf@example.com' })
    // The provider's own page asks, and then tells everybody.
    const page = await (await jar.follow(location)).response.text()
    const action = /action="([^"]+)"/.exec(page)?.[1] ?? ''
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)?.[1] ?? ''
    await jar.follow(action, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `xsrf=${xsrf}&logout=yes` })
    await eventually(async () => (await whoami(jar)) === 401, 'the sign-in has ended')
    expect((await stack.events('kind=user.signed_out'))[0]).toMatchObject({ event: { reason: 'signed out at the provider' } })
    expect(await whoami(other)).toBe(401)
    for (const token of ['', 'x.y.z', await stack.mint({ events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, sub: 'p-1003' })]) {
      const forged = await fetch(`${api}/auth/backchannel-logout/demo-people`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `logout_token=${token}` })
      expect(forged.status).toBe(400)
    }
  })
})

test('who is disabled at the provider loses the sign-in, credentials and live sessions at the next refresh', async () => {
  const policy = `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: auditors-read }
spec:
  subjects: [{ group: readers }]
  targets: { names: [orders-db] }
  rules: [{ allow: sql.select, on: "public.*" }]
---
apiVersion: sallyport.dev/v1
kind: GroupMapping
metadata: { name: readers }
spec: { provider: demo-people, match: [{ claim: groups, equals: audit }], groups: [readers] }
`
  expect((await stack.api('POST', '/v1/apply', { documents: [{ path: 'p.yaml', text: policy }] })).status).toBe(200)
  const jar = await signedIn('olaf')
  const me = await whoami(jar)
  expect(me.groups).toEqual(['readers'])
  const issued = await post(jar, '/v1/credentials', { ...sameOrigin, 'x-sallyport-csrf': me.csrf }, { target: 'orders-db' })
  expect(issued.status).toBe(201)
  const credential = (await issued.json()) as { username: string; access_token: string }
  const env = { ...(await stack.pgEnv()), PGUSER: credential.username, PGPASSWORD: credential.access_token }
  const session = psqlSession(env)
  session.send("SELECT 'o' || 'pen';\n")
  await session.seen(/open/)
  expect((await fetch(`${people}/demo/people/olaf/disable`, { method: 'POST' })).status).toBe(204)
  try {
    await eventually(async () => (await whoami(jar)) === 401, 'the sign-in has ended', 20_000)
    expect((await stack.events('kind=user.gone'))[0]).toMatchObject({ who: 'olaf@example.com', event: { provider: 'demo-people' } })
    session.send('SELECT 1;\n')
    await session.seen(/terminat|closed|ended|does not exist|disabled/i, 20_000)
    const late = psqlSession(env)
    expect(await late.exited).not.toBe(0)
    const { response } = await signIn(new CookieJar(), api, 'olaf')
    expect(response.status).not.toBe(200)
  } finally {
    session.kill('SIGKILL')
    await fetch(`${people}/demo/people/olaf/enable`, { method: 'POST' })
  }
})

test('a policy author changes policies, and nothing that decides who somebody is', async () => {
  const user = (name: string, roles: string): string => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { roles: ${roles} }\n`
  expect((await stack.api('POST', '/v1/apply', { documents: [{ path: 'u.yaml', text: `${user('pat', '[policy_author]')}---\n${user('otto', '[operator]')}` }] })).status).toBe(200)
  const tokenOf = async (name: string): Promise<string> => (await stack.api('POST', '/v1/tokens', { user: name, name: 't' })).body.token
  const [pat, otto] = [await tokenOf('pat'), await tokenOf('otto')]
  const policy = 'apiVersion: sallyport.dev/v1\nkind: Policy\nmetadata: { name: pats }\nspec: { subjects: [{ workload: shop-ci }], targets: { names: [orders-db] }, rules: [{ deny: sql.drop_database }] }\n'
  const sink = 'apiVersion: sallyport.dev/v1\nkind: Sink\nmetadata: { name: out }\nspec: { stdout: {}, paused: true }\n'
  const apply = async (text: string, token: string): Promise<[number, string | undefined]> => {
    const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'd.yaml', text }] }, token)
    return [status, body.detail]
  }
  expect((await apply(policy, pat))[0]).toBe(200)
  expect(await apply(user('pat', '[admin]'), pat)).toEqual([403, 'Changing User/pat needs the role admin.'])
  expect((await apply(`${policy.replace('drop_database', 'copy_program')}---\n${sink}`, pat))[0]).toBe(403)
  expect((await apply(sink, otto))[0]).toBe(200)
  expect((await apply(policy.replace('drop_database', 'copy_program'), otto))[0]).toBe(403)
  expect((await stack.api('GET', '/v1/documents', undefined, pat)).status).toBe(200)
  expect((await stack.api('GET', '/v1/events', undefined, pat)).status).toBe(403)
})
