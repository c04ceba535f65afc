import type { DemoPerson } from './people.js'

const escaped = (text: string): string => text.replaceAll(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

/** Who signs in is who is chosen: it is a demo. */
export function loginPage(people: readonly DemoPerson[]): string {
  const buttons = people.map(
    ({ login, name, about }) => `<button name="login" value="${escaped(login)}"><strong>${escaped(name)}</strong><span>${escaped(about)}</span></button>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Demo identity provider</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
main { max-width: 26rem; margin: 12vh auto; padding: 0 1rem }
h1 { font-size: 1.25rem; margin-bottom: .25rem } p { margin: 0 0 1.5rem; opacity: .75 }
form { display: grid; gap: .5rem }
button { font: inherit; text-align: left; padding: .75rem 1rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: .5rem; background: none; color: inherit; cursor: pointer }
button:hover, button:focus-visible { border-color: currentColor } span { display: block; opacity: .7; font-size: .9rem }
</style>
</head>
<body>
<main>
<h1>Who signs in?</h1>
<p>The demo’s identity provider stands in for yours. Nobody needs a password here.</p>
<form method="post">
${buttons.join('\n')}
</form>
</main>
</body>
</html>
`
}
