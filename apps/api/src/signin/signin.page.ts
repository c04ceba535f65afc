import type { SigninError } from './signin.errors.js'

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

/** What somebody sees whose sign-in came to nothing. Plain HTML without script or style, under any Content-Security-Policy. */
export function failurePage({ code, message, hint }: SigninError): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Not signed in · Sallyport</title></head>
<body>
<h1>Not signed in</h1>
<p>${escaped(message)}</p>
<p>${escaped(hint)}</p>
<p><a href="/">Back to the sign-in page</a></p>
<p><small>Code: ${escaped(code)}</small></p>
</body>
</html>
`
}
