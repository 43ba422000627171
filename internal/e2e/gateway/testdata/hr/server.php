<?php
// The service HR with SoapServer, as router of "php -S". It has no login: it
// believes the header X-Remote-User, and the token in X-Identity only if one of the
// keys at JWKS signed it for it. UPSTREAM is a server that it calls as its caller.

const POINT = '3059301306072a8648ce3d020106082a8648ce3d030107034200'; // of P-256, in front of a point (RFC 5480 2)

function unbase64url(string $s): string
{
    return base64_decode(strtr($s, '-_', '+/'), true);
}

// A number of DER.
function derInteger(string $bytes): string
{
    $bytes = ltrim($bytes, "\0");
    if ($bytes === '' || ord($bytes[0]) > 127) {
        $bytes = "\0" . $bytes;
    }
    return "\x02" . chr(strlen($bytes)) . $bytes;
}

// The claims of the token, signed by ES256 (RFC 7518 3.4).
function claims(): array
{
    [$head, $payload, $signature] = explode('.', $_SERVER['HTTP_X_IDENTITY']);
    $h = json_decode(unbase64url($head), true);
    foreach (json_decode(file_get_contents(getenv('JWKS')), true)['keys'] as $key) {
        if ($key['kid'] !== $h['kid'] || $key['kty'] !== 'EC' || $h['alg'] !== 'ES256') {
            continue;
        }
        $der = hex2bin(POINT) . "\x04" . unbase64url($key['x']) . unbase64url($key['y']);
        $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64, "\n") . "-----END PUBLIC KEY-----\n";
        $numbers = derInteger(substr(unbase64url($signature), 0, 32)) . derInteger(substr(unbase64url($signature), 32));
        if (openssl_verify("$head.$payload", "\x30" . chr(strlen($numbers)) . $numbers, $pem, OPENSSL_ALGO_SHA256) !== 1) {
            throw new SoapFault('Server', 'the token is not signed by the gateway');
        }
        $c = json_decode(unbase64url($payload), true);
        if ($c['aud'] !== 'hr' || $c['iss'] !== 'soapward' || $c['exp'] < time()) {
            throw new SoapFault('Server', 'the token is for somebody else, or old');
        }
        return $c;
    }
    throw new SoapFault('Server', 'no key for the token');
}

class HR
{
    public function WhoAmI(): array
    {
        $c = claims();
        return [
            'user' => $_SERVER['HTTP_X_REMOTE_USER'], 'token' => $c['domain'] . '\\' . $c['account'], 'mechanism' => $c['mechanism'],
            'credentials' => $_SERVER['HTTP_AUTHORIZATION'] ?? '',
        ];
    }

    public function Pay(object $in): array
    {
        return ['receipt' => $in->amount . ' to ' . $_SERVER['HTTP_X_REMOTE_USER']];
    }

    public function Relay(object $in): array
    {
        $c = curl_init(getenv('UPSTREAM') . '/x');
        $headers = ['X-Identity: ' . $_SERVER['HTTP_X_IDENTITY']];
        if ($in->kind === 'soap') {
            array_push($headers, 'Content-Type: text/xml', 'SOAPAction: ""');
            curl_setopt($c, CURLOPT_POSTFIELDS, '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><Do xmlns="urn:x"/></e:Body></e:Envelope>');
        }
        curl_setopt_array($c, [CURLOPT_HTTPHEADER => $headers, CURLOPT_RETURNTRANSFER => true, CURLOPT_PROXY => '', CURLOPT_TIMEOUT => 60]);
        $body = curl_exec($c);
        return ['status' => curl_getinfo($c, CURLINFO_RESPONSE_CODE), 'body' => $body === false ? curl_error($c) : $body];
    }
}

if ($_SERVER['REQUEST_METHOD'] === 'GET') {
    echo '<!DOCTYPE html><title>HR</title><link rel="icon" href="data:,"><p id="who">' . htmlspecialchars($_SERVER['HTTP_X_REMOTE_USER']) . '</p>';
    return;
}
$server = new SoapServer(__DIR__ . '/hr.wsdl', ['cache_wsdl' => WSDL_CACHE_NONE]);
$server->setClass(HR::class);
$server->handle();
