import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { complaintsOf, hasChromium, openBrowser } from '../support/chromium.js'
import { psqlSession, type Client } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
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
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.getByLabel('Words of a statement').fill('customers email')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('cell', { name: /SELECT id, name, email, ssn FROM customers/ }).first().waitFor()
    await page.getByRole('button', { name: 'Verify the chain' }).click()
    await page.getByText(/^Whole: \d+ events/).waitFor()
    await inspect('audit')
  })

  test('the page takes no script but its own, and stands in no frame', async () => {
    const response = await page.goto(url('/approvals'))
    const policy = response?.headers()['content-security-policy'] ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self';")
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
