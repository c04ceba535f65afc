import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'

/** Where its build lies, beside this app. */
const directory = join(import.meta.dirname, '..', '..', '..', 'console', 'dist', 'web')
/** Paths that are the API's, or other machines'. */
const notPages = /^\/(v1|schemas|auth|docs|openapi\.json|healthz|readyz|health|metrics|assets)(\/|$|\?)/

/**
 * Nothing but what this origin serves; the component library sets styles from script, so those alone may be inline. The
 * player's terminal is WebAssembly, which the page's own script may compile; script in text stays out.
 */
const contentSecurityPolicy = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:", "font-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const missing = '<!doctype html><html lang="en"><title>Sallyport</title><h1>The console is not built here</h1><p>Run <code>sh scripts/bootstrap.sh build</code>, or use the command line: <code>sallyport --help</code>.</p></html>'

/**
 * Serves the web console: its files, which are named after their content, for ever; and for every page that a browser asks for, the one page that there is.
 * Before the API's own routes, so that a link to /approvals/ID opens in a browser and stays text for a terminal.
 */
export function serveConsole(app: NestExpressApplication): void {
  const index = existsSync(join(directory, 'index.html')) ? readFileSync(join(directory, 'index.html'), 'utf8') : missing
  app.useStaticAssets(join(directory, 'assets'), { prefix: '/assets', immutable: true, maxAge: '1y', index: false, redirect: false, fallthrough: false })
  app.use((request: Request, response: Response, next: () => void) => {
    if (request.path === '/icon.svg' && request.method === 'GET' && existsSync(join(directory, 'icon.svg'))) {
      response.setHeader('cache-control', 'public, max-age=86400')
      response.type('svg').send(readFileSync(join(directory, 'icon.svg'), 'utf8'))
      return
    }
    const isPage = (request.method === 'GET' || request.method === 'HEAD') && !notPages.test(request.path) && request.accepts(['text/plain', 'text/html']) === 'text/html'
    if (!isPage) {
      next()
      return
    }
    response.setHeader('content-security-policy', contentSecurityPolicy)
    response.setHeader('cache-control', 'no-store')
    response.type('html').send(index)
  })
}
