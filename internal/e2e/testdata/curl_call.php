<?php
// Calls a URL with PHP's curl. Input and output are those of foreignCall in
// foreign_test.go.

[$url, $domain, $user, $password, $body, $count, $ca] = explode("\n", stream_get_contents(STDIN));

$handle = curl_init($url);
curl_setopt_array($handle, [
	CURLOPT_RETURNTRANSFER => true,
	CURLOPT_HTTPAUTH => $user === '' ? CURLAUTH_NEGOTIATE : CURLAUTH_NTLM,
	CURLOPT_USERPWD => ($domain === '' ? $user : "$domain\\$user") . ":$password",
	CURLOPT_PROXY => '',
	CURLOPT_TIMEOUT => 60,
]);
if ($body !== '') {
	curl_setopt($handle, CURLOPT_POSTFIELDS, $body);
}
if ($ca !== '') {
	curl_setopt($handle, CURLOPT_CAINFO, $ca);
}
for ($i = 0; $i < $count; $i++) {
	$answer = curl_exec($handle);
	if ($answer === false) {
		fwrite(STDERR, curl_error($handle) . "\n");
		exit(1);
	}
	echo curl_getinfo($handle, CURLINFO_RESPONSE_CODE), ' ', base64_encode($answer), "\n";
}
