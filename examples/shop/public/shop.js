// Everything works without this file. With it, a changed quantity is stored without a click, a form that is on its way
// is not sent a second time, and times are told in the visitor's own time zone.

document.documentElement.classList.add('js')

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

const local = new Intl.DateTimeFormat('en-IE', { dateStyle: 'medium', timeStyle: 'short' })
for (const time of document.querySelectorAll('time[datetime]')) {
  time.textContent = local.format(new Date(time.dateTime))
}

document.querySelector('[aria-invalid]')?.focus()
