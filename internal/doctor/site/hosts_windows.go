package site

const hostsFile = `C:\Windows\System32\drivers\etc\hosts`
