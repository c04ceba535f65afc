import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import type { BrowserContext, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { complaintsOf, hasChromium, openBrowser } from '../support/chromium.js'
import { psql, psqlSession, type Client } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { hasSshd, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/** The console in a real browser, with a real sign-in, on what a real psql waits for. SALLYPORT_SCREENSHOTS=DIR keeps pictures of every screen. */
const pictures = process.env['SALLYPORT_SCREENSHOTS']
if (pictures !== undefined) mkdirSync(pictures, { recursive: true })
if (!hasChromium) process.stderr.write('no Chromium here: the tests of the console are skipped\n')

let stack: Stack
let close: (() => Promise<void>) | undefined
let context: BrowserContext
let page: Page
let complaints: string[]
/** Of accessibility, on all screens; asserted at the end, so that one doesn't hide the rest. */
const faults: string[] = []

describe.skipIf(!hasChromium)('the console', () => {
  beforeAll(async () => {
    stack = await Stack.start()
    const browser = await openBrowser()
    close = browser.close
    context = browser.context
    context.setDefaultTimeout(15_000)
    page = await context.newPage()
    complaints = complaintsOf(page)
  })
  afterAll(async () => {
    await close?.()
    await stack?.stop()
  })

  const url = (to: string): string => stack.line.api.url + to

  async function signIn(login: string): Promise<void> {
    await page.getByRole('link', { name: 'Sign in with Demo identity provider' }).click()
    await page.locator(`button[value="${login}"]`).click()
  }

  async function signOut(): Promise<void> {
    await page.getByRole('button', { name: /^Signed in as/ }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Yes, sign me out' }).click()
    await page.getByRole('link', { name: /^Sign in with/ }).waitFor()
  }

  const room = (name: string): Locator => page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name })

  /** Looks at what is shown: no serious fault of accessibility in either theme; keeps pictures. */
  async function inspect(name: string): Promise<void> {
    for (const theme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' })
      if (pictures !== undefined) await page.screenshot({ path: path.join(pictures, `${name}-${theme}.png`) })
      const { violations } = await new AxeBuilder({ page }).analyze()
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
      faults.push(...serious.map(({ id, nodes }) => `${name}, ${theme}: ${id}: ${nodes.map((node) => node.html.slice(0, 200)).join(' | ')}`))
    }
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  }

  async function held(sql: string): Promise<Client> {
    const session = psqlSession(await stack.pgEnv())
    session.send(`${sql};\n\\echo over\n`)
    await session.seen(/waits for approval/)
    return session
  }

  test('a link out of psql leads through the sign-in to the very approval; approved there, the statement runs', async () => {
    const session = await held("UPDATE orders SET status = 'in-the-console' WHERE id = 1")
    const link = /http:\/\/\S+\/approvals\/[0-9a-f-]+/.exec(session.stderr + session.stdout)?.[0] ?? ''
    await page.goto(link)
    await page.getByRole('link', { name: /^Sign in with/ }).waitFor()
    await inspect('sign-in')
    await signIn('dana')
    const card = page.getByRole('article', { name: 'Approval' })
    await card.waitFor()
    expect(page.url()).toBe(link)
    const text = await card.innerText()
    for (const told of ['shop-ci on orders-db', "UPDATE orders SET status = 'in-the-console'", 'sql.update', 'public.orders', 'acme/shop', '1 of dba']) expect(text).toContain(told)
    await page.getByLabel('Comment', { exact: true }).fill('asked octo-dev about it')
    await page.getByRole('button', { name: 'Say' }).click()
    await card.getByText('asked octo-dev about it').waitFor()
    await page.evaluate(() => (document.activeElement instanceof HTMLElement ? document.activeElement.blur() : undefined))
    await inspect('approval')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'in-the-console'")).toHaveLength(0)
    await page.keyboard.press('a')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'in-the-console'")).toHaveLength(0)
    await page.keyboard.press('Enter')
    await session.seen(/over/)
    await card.getByText('dana approved').waitFor()
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status = 'in-the-console'")).toHaveLength(1)
    session.end()
    await session.exited
    await inspect('approved')
  })

  test('what comes is shown as it comes; rejected with a reason, it never runs and the client reads why', async () => {
    await page.goto(url('/approvals'))
    await page.getByText('Nothing waits for you.').waitFor()
    await inspect('approvals-empty')
    const session = await held("DELETE /* \u202e tixe */ FROM order_items WHERE order_id = 3")
    await page.getByRole('button', { name: /shop-ci → orders-db/ }).waitFor()
    await page.keyboard.press('j')
    const card = page.getByRole('article', { name: 'Approval' })
    await card.waitFor()
    // A character that would turn the line around is spelt out.
    const told = await card.innerText()
    expect(told).toContain(String.raw`\u202e`)
    expect(told).not.toContain('\u202e')
    await inspect('approvals')
    await card.getByRole('button', { name: 'Reject' }).click()
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('TEXTAREA')
    await page.keyboard.type('keep them')
    await card.getByRole('button', { name: 'Reject' }).click()
    await session.seen(/rejected by dana: keep them/)
    await card.getByText('rejected', { exact: true }).first().waitFor()
    session.end()
    await session.exited
    expect((await direct(stack, 'SELECT 1 FROM order_items WHERE order_id = 3')).length).toBeGreaterThan(0)
  })

  test('on a telephone a reviewer sees the list, then the card', async () => {
    const session = await held("UPDATE orders SET status = 'phone' WHERE id = 2")
    await page.setViewportSize({ width: 390, height: 780 })
    await page.goto(url('/approvals'))
    await page.getByRole('button', { name: /shop-ci → orders-db/ }).click()
    const card = page.getByRole('article', { name: 'Approval' })
    await card.waitFor()
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    expect(wide).toBeLessThanOrEqual(390)
    await inspect('approval-phone')
    await card.getByRole('button', { name: 'Approve' }).click()
    await session.seen(/over/)
    session.end()
    await session.exited
    await page.setViewportSize({ width: 1280, height: 860 })
  })

  test('an administrator watches a session live, and cuts it; its timeline stays', async () => {
    await signOut()
    await page.goto(url('/sessions'))
    await signIn('ada')
    const session = psqlSession(await stack.pgEnv())
    session.send("SELECT id, name, email, ssn FROM customers ORDER BY id LIMIT 3;\n")
    await session.seen(/Kavya/)
    const row = page.getByRole('row').filter({ hasText: 'live' }).first()
    await row.waitFor()
    await inspect('sessions')
    await row.getByRole('link').click()
    await page.getByText('SELECT id, name, email, ssn FROM customers').first().waitFor()
    await page.getByText('[redacted]').first().waitFor()
    session.send("SELECT 'while it is ' || 'watched';\n")
    await page.getByText("SELECT 'while it is ' || 'watched'").first().waitFor()
    await inspect('session')
    await page.getByRole('button', { name: 'Cut' }).click()
    await page.getByLabel('Reason').fill('looks odd')
    await inspect('cut')
    const cutAt = Date.now()
    await page.getByRole('button', { name: 'Cut the session' }).click()
    // psql learns that its connection is gone when it next speaks.
    let over = false
    void session.exited.then(() => (over = true))
    await eventually(async () => {
      if (!over) session.send('SELECT 1;\n')
      return over
    }, 'psql has ended')
    expect(Date.now() - cutAt).toBeLessThan(15_000)
    await page.getByText('killed', { exact: true }).first().waitFor()
    expect(await eventually(async () => (await stack.events('kind=session.killed'))[0], 'it is on record')).toMatchObject({ event: { reason: 'looks odd', by: 'ada' } })
  })

  test('the audit log answers, and proves itself', async () => {
    await room('Audit').click()
    await page.getByLabel('Words of a statement').fill('customers email')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('cell', { name: /SELECT id, name, email, ssn FROM customers/ }).first().waitFor()
    await page.getByRole('button', { name: 'Verify the chain' }).click()
    await page.getByText(/^Whole: \d+ events/).waitFor()
    // A search stands in the address, is kept under a name, and leaves as a file.
    expect(new URL(page.url()).search).toBe('?statement=customers+email')
    await page.getByRole('button', { name: 'Save this search' }).click()
    await page.getByLabel('Name', { exact: true }).fill('who-read-addresses')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByRole('link', { name: 'who-read-addresses' }).waitFor()
    await inspect('audit')
    await page.goto(url('/audit'))
    await page.getByRole('link', { name: 'who-read-addresses' }).click()
    await page.getByRole('cell', { name: /SELECT id, name, email, ssn FROM customers/ }).first().waitFor()
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV' }).click()])
    const csv = readFileSync(await file.path(), 'utf8').trimEnd().split('\r\n')
    expect(csv[0]).toContain('"position","time","kind","who"')
    expect(csv.slice(1).every((line) => line.includes('customers'))).toBe(true)
    await page.getByRole('button', { name: 'Delete the search who-read-addresses' }).click()
    await page.getByRole('link', { name: 'who-read-addresses' }).waitFor({ state: 'detached' })
  })

  test.skipIf(!hasSshd)('a terminal is played again', async () => {
    const home = await SshHome.create(stack)
    const ran = await home.run('ssh', ['-tt', 'web-01', 'uname -a'])
    home.remove()
    expect(ran.stdout).toContain('Linux')
    await eventually(async () => (await stack.events('kind=session.end&target=web-01')).length > 0, 'it is over and on record')
    await room('Sessions').click()
    await page.getByLabel('Target').fill('web-01')
    const row = page.getByRole('row').filter({ hasText: 'web-01' }).first()
    await row.getByText('ended').waitFor()
    await row.getByRole('link').click()
    await page.getByRole('button', { name: 'Play' }).click()
    await page.locator('.ap-terminal, .ap-term').getByText(/Linux/).first().waitFor()
    await inspect('recording')
    expect((await stack.events('kind=session.viewed&who=ada')).map(({ event }) => event.how)).toContain('export')
  })

  test('a policy whose test fails changes nothing and says which; corrected and applied, a live psql is decided by it', async () => {
    const session = psqlSession(await stack.pgEnv())
    session.send("SELECT count(*) FROM api_keys WHERE 'be' = 'fore';\n")
    await session.seen(/^0$/m)
    await room('Policies').click()
    await page.getByRole('link', { name: 'shop-ci-on-orders' }).click()
    await page.getByText(/^Version 1,/).waitFor()
    const editor = page.getByRole('textbox', { name: 'Document' })
    const before = await editor.inputValue()
    const marker = '  rules:\n'
    expect(before).toContain(marker)
    // A word that no document has: told with its line and what was meant.
    await editor.fill(before.replace('recordResults', 'recordResult'))
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText(/line \d+:\d+: .*recordResult.*did you mean recordResults/).waitFor()
    // Too much is denied, and the policy's own tests know.
    await editor.fill(before.replace(marker, `${marker}    - { deny: sql.select, on: "public.*" }\n`))
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText(/Nothing was applied: \d+ of \d+ policy tests failed/).waitFor()
    await page.getByText('shop-ci-on-orders, test 1: as shop-ci SELECT id, status FROM orders should be allow').waitFor()
    await inspect('policy-test-fails')
    session.send("SELECT count(*) FROM api_keys WHERE 'still' = 'allowed';\n")
    await eventually(async () => session.stdout.match(/^0$/gm)?.length === 2, 'nothing has changed')
    await editor.fill(before.replace(marker, `${marker}    - { deny: sql.select, on: public.api_keys, reason: keys are nobody's business }\n`))
    await page.getByLabel('Reason').fill('keys')
    await page.getByRole('button', { name: 'Check' }).click()
    await page.getByText('It would be applied.').waitFor()
    await inspect('policy-checked')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText(/^Version 2,/).waitFor()
    session.send('SELECT count(*) FROM api_keys;\n')
    await session.seen(/keys are nobody's business/)
    session.end()
    await session.exited
    expect((await stack.events('kind=document.applied'))[0]).toMatchObject({ event: { by: 'ada', reason: 'keys' } })
  })

  test('the simulator says what would be decided, and by which rule', async () => {
    await room('Policies').click()
    const simulator = page.getByRole('region', { name: 'Simulator' })
    await simulator.getByLabel('As').fill('shop-ci')
    await simulator.getByLabel('On').fill('orders-db')
    await simulator.getByLabel('Command').fill('WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d')
    await simulator.getByRole('button', { name: 'Decide' }).click()
    await simulator.getByText('hold', { exact: true }).first().waitFor()
    await simulator.getByText(/sql\.delete public\.orders/).waitFor()
    await inspect('policies')
  })

  test('an identity is locked: its live psql ends, it gets no other, until it is unlocked', async () => {
    const session = psqlSession(await stack.pgEnv())
    session.send('SELECT 40 + 2;\n')
    await session.seen(/^42$/m)
    session.send('SELECT count(*) FROM generate_series(1, 3000000000);\n')
    await room('Identities').click()
    await page.getByRole('button', { name: 'Lock shop-ci' }).click()
    await page.getByLabel('Reason').fill('its token stands in a public log')
    await inspect('lock')
    await page.getByRole('button', { name: 'Lock it' }).click()
    await page.getByText('locked', { exact: true }).waitFor()
    await session.exited
    expect(session.stderr).toContain('the workload shop-ci was locked')
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).stderr).toContain('the workload shop-ci is locked')
    await inspect('identities')
    // Nobody locks themselves.
    expect(await page.getByRole('button', { name: 'Lock ada' }).count()).toBe(0)
    await page.getByRole('button', { name: 'Unlock shop-ci' }).click()
    await page.getByLabel('Reason').fill('it has a new one')
    await page.getByRole('button', { name: 'Unlock it' }).click()
    await page.getByText('locked', { exact: true }).waitFor({ state: 'detached' })
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).stdout).toBe('1\n')
  })

  test('targets, and agents: one that is killed is seen to be away, and to come back', async () => {
    await room('Targets').click()
    await page.getByRole('cell', { name: 'orders-db', exact: true }).waitFor()
    await inspect('targets')
    await room('Agents').click()
    const row = page.getByRole('row').filter({ hasText: 'agent-0' })
    await row.getByText('connected').waitFor()
    process.kill(stack.line.agents[0]?.pid ?? 0, 'SIGKILL')
    await row.getByText('away').waitFor()
    await inspect('agents')
    await stack.restart('agent-0')
    await row.getByText('connected').waitFor({ timeout: 60_000 })
    await page.setViewportSize({ width: 390, height: 780 })
    for (const room of ['targets', 'agents', 'identities', 'policies', 'policies/Policy/shop-ci-on-orders']) {
      await page.goto(url(`/${room}`))
      await page.getByRole('heading', { level: 1 }).waitFor()
      expect(await page.evaluate(() => document.documentElement.scrollWidth), room).toBeLessThanOrEqual(390)
    }
    await page.setViewportSize({ width: 1280, height: 860 })
  })

  test('the page takes no script but its own, and stands in no frame', async () => {
    const response = await page.goto(url('/approvals'))
    const policy = response?.headers()['content-security-policy'] ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(response?.headers()['cache-control']).toBe('no-store')
    expect(await page.evaluate(() => [document.cookie, localStorage.length, Object.keys(localStorage).filter((key) => !key.startsWith('mantine')).length])).toEqual(['', expect.any(Number), 0])
    expect(complaints).toEqual([])
    expect(faults).toEqual([])
    expect((await fetch(url('/approvals/0190aaaa-0000-7000-8000-000000000001'))).headers.get('content-type')).toContain('text/plain')
    expect((await fetch(url('/v1/nothing'), { headers: { accept: 'text/html' } })).status).toBe(404)
    expect((await fetch(url('/assets/../../../package.json'))).status).toBe(404)
    expect(existsSync(path.resolve(import.meta.dirname, '../../apps/console/dist/web/index.html'))).toBe(true)
  })
})
