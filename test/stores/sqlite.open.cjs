'use strict'

exports.open = (load, { filename }) => ({ store: load('sqlite').sqliteStore({ filename }) })
