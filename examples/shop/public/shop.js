// Everything works without this file. With it, a changed quantity is stored without a click, a form that is on its way
// is not sent a second time, what was typed outlives a reload, and times are told in the visitor's own time zone.

for (const input of document.querySelectorAll('[data-submits]')) {
  let timer
  input.addEventListener('input', () => {
    clearTimeout(timer)
    timer = setTimeout(() => input.form.requestSubmit(input.form.querySelector('.update')), 700)
  })
}

document.addEventListener('submit', (event) => {
  const { dataset } = event.target
  if (dataset.sent) event.preventDefault()
  dataset.sent = 'yes'
})

// Back from the browser's cache: the forms can be sent again.
addEventListener('pageshow', () => {
  for (const form of document.forms) delete form.dataset.sent
})

// What was typed and not yet sent outlives a reload. Kept in this tab, under the name of the session: signing out or
// becoming somebody else leaves it behind.
for (const form of document.querySelectorAll('[data-draft]')) {
  const key = `${form.dataset.draft} ${location.pathname}`
  const draft = JSON.parse(sessionStorage.getItem(key) ?? '{}')
  for (const input of form.elements) {
    if (!(input.name in draft)) continue
    if (input.type === 'radio') input.checked = input.value === draft[input.name]
    else if (input.type !== 'hidden') input.value = draft[input.name]
  }
  form.addEventListener('input', () => {
    const { csrf: _, ...typed } = Object.fromEntries(new FormData(form))
    sessionStorage.setItem(key, JSON.stringify(typed))
  })
  form.addEventListener('submit', () => sessionStorage.removeItem(key))
}

// The sum follows the choice. Only shown here: what it costs is decided by the server.
function showSum() {
  const chosen = document.querySelector('[data-cost]:checked')
  if (!chosen) return
  for (const [name, text] of Object.entries(chosen.dataset)) {
    const place = document.querySelector(`[data-shows="${name}"]`)
    if (place) place.textContent = text
  }
}
document.addEventListener('change', showSum)
showSum()

const local = new Intl.DateTimeFormat('en-IE', { dateStyle: 'medium', timeStyle: 'short' })
for (const time of document.querySelectorAll('time[datetime]')) {
  time.textContent = local.format(new Date(time.dateTime))
}

document.querySelector('[aria-invalid]')?.focus()
