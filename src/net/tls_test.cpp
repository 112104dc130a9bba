#include "net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/testing_certificate.h"

namespace tidewire::net {
namespace {

using ::testing::HasSubstr;

TEST(TlsContext, LoadsACertificateAndItsKey) {
  const TestingCertificate files;
  const auto context = TlsContext::load(files.certificate_file(), files.key_file());
  ASSERT_TRUE(context.has_value()) << context.error().message;
}

TEST(TlsContext, NamesTheFileThatIsMissing) {
  const TestingCertificate files;
  const auto no_certificate = TlsContext::load(files.missing_file(), files.key_file());
  ASSERT_FALSE(no_certificate.has_value());
  EXPECT_THAT(no_certificate.error().message, HasSubstr("certificate " + files.missing_file()));
  const auto no_key = TlsContext::load(files.certificate_file(), files.missing_file());
  ASSERT_FALSE(no_key.has_value());
  EXPECT_THAT(no_key.error().message, HasSubstr("key " + files.missing_file() + ": No such file"));
  EXPECT_FALSE(TlsContext::for_clients(files.missing_file()).has_value());
}

TEST(TlsContext, NamesTheFileThatIsNoPem) {
  const TestingCertificate files;
  const auto no_certificate = TlsContext::load(files.nonsense_file(), files.key_file());
  ASSERT_FALSE(no_certificate.has_value());
  EXPECT_THAT(no_certificate.error().message, HasSubstr("no usable PEM certificate"));
  const auto no_key = TlsContext::load(files.certificate_file(), files.nonsense_file());
  ASSERT_FALSE(no_key.has_value());
  EXPECT_THAT(no_key.error().message, HasSubstr("no usable PEM key"));
  EXPECT_FALSE(TlsContext::for_clients(files.nonsense_file()).has_value());
}

TEST(TlsContext, RefusesAKeyOfAnotherCertificate) {
  const TestingCertificate one;
  const TestingCertificate other;
  const auto context = TlsContext::load(one.certificate_file(), other.key_file());
  ASSERT_FALSE(context.has_value());
  EXPECT_THAT(context.error().message, HasSubstr("does not match"));
}

TEST(TlsContext, RefusesAKeyOfAnotherType) {
  const TestingCertificate files;
  const auto context = TlsContext::load(files.certificate_file(), files.other_type_key_file());
  ASSERT_FALSE(context.has_value());
  EXPECT_THAT(context.error().message, HasSubstr("does not match"));
}

TEST(TlsContext, RefusesAnEncryptedKeyWithoutAskingTheTerminal) {
  const TestingCertificate files;
  const auto context = TlsContext::load(files.certificate_file(), files.encrypted_key_file());
  ASSERT_FALSE(context.has_value());
  EXPECT_THAT(context.error().message, HasSubstr("is encrypted"));
}

}  // namespace
}  // namespace tidewire::net
