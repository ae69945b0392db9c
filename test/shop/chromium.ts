import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, type TestContext } from 'vitest'
import { notRun } from '../not-run.js'

const EXECUTABLE = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'

let running: Promise<Browser> | undefined
afterAll(async () => (await running)?.close())

/**
 * A real browser, one for all tests of a file; its contexts are devices of their own. Without Chromium the test is
 * reported as not run.
 */
export async function openChromium(context: TestContext): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    notRun('the shop in a browser', `no Chromium at ${EXECUTABLE} (set CHROMIUM_PATH)`, context)
  }
  running ??= chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  return running
}
